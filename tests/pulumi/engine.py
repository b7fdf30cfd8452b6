"""Pulumi's engine, played by its own mocks."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func
from tapehouse_infra.program import deploy

import pulumi

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Declared(Mocks):
    """What the program asks the engine for."""

    resources: list[MockResourceArgs] = field(default_factory=list)

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        return f"{args.name}-id", args.inputs

    def call(self, args: MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"the program calls {args.token}")

    def of(self, type_: str) -> list[dict[str, Any]]:
        """Inputs of the resources whose type ends so."""
        return [r.inputs for r in self.resources if r.typ.endswith(type_)]


def deployed(stack: str) -> Declared:
    """What the program of `pulumi/` declares for a stack."""
    declared = Declared()

    async def program() -> None:
        deploy()

    async def engine() -> None:
        # The root resource belongs to the event loop that it is made in.
        pulumi.runtime.set_mocks(declared, project="tapehouse", stack=stack)
        SETTINGS.root_directory = str(ROOT / "pulumi")
        defaults = yaml.safe_load((ROOT / "pulumi/Pulumi.yaml").read_text())["config"]
        pulumi.runtime.set_all_config({f"tapehouse:{k}": d["default"] for k, d in defaults.items()})
        await run_pulumi_func(program)

    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()
    asyncio.run(engine())
    return declared
