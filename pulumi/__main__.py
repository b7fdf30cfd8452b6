"""`pulumi up -s dev`: the environment `dev` in the cluster that Pulumi.dev.yaml names."""

from tapehouse_infra.program import deploy

deploy()
