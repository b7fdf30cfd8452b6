"""An environment of Tapehouse as Pulumi components."""
