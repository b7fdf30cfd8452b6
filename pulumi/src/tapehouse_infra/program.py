"""The program of a stack."""

from pathlib import Path

import pulumi
from tapehouse_infra.components import Environment, Platform
from tapehouse_infra.stack import StackError, load


def deploy() -> None:
    """Declare the current stack: its environment, then the operator that serves it.

    Raises:
        pulumi.RunError: the stack's files are missing or wrong.
    """
    config = pulumi.Config()
    project = Path(pulumi.get_root_directory())
    try:
        stack = load(project / config.require("environments"), pulumi.get_stack())
    except StackError as error:
        raise pulumi.RunError(str(error)) from None
    environment = Environment(stack.name, stack)
    chart = (project / config.require("chart")).resolve()
    # Its Role is in the environment's namespace.
    after = pulumi.ResourceOptions(depends_on=[environment])
    Platform(f"{stack.name}-platform", stack, chart, after)
    pulumi.export("namespace", environment.namespace.metadata.name)
