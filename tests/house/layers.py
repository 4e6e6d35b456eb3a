"""The layers of `remit` and who may import whom: the one table that docs/design.md describes."""

from __future__ import annotations

__all__ = ["KERNEL_ALLOWED", "KERNEL_FORBIDDEN", "LAYERS", "LAZY", "PUBLIC_ONLY", "REACH", "layer_of", "public_names"]

# Lowest first. Layers in one tuple are siblings: they do not import each other.
# `face` is remit/__init__.py and the modules directly in the package, such as remit/durable.py.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "lazy", "package"),
    ("kernel",),
    ("store", "dispatch"),
    ("engine",),
    ("authoring",),
    ("workflows",),
    ("control",),
    ("face",),
    ("server", "cli"),
)

# These stand beside the tower and build on what anyone can import …
PUBLIC_ONLY = frozenset({"integrations", "testing"})
# … except that fault hooks reach where faults happen, and that `testing` loads its names late as the others do.
REACH = {"testing": frozenset({"engine", "store", "lazy"})}

# The kernel decides and never acts: nothing of these may enter it.
KERNEL_FORBIDDEN = frozenset({
    "asyncio", "concurrent", "contextvars", "ctypes", "getpass", "http", "importlib", "io", "locale",
    "logging", "multiprocessing", "os", "pathlib", "platform", "queue", "random", "secrets", "select",
    "selectors", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib", "uuid",
})  # fmt: skip

# … and of what others have written, only arithmetic that somebody keeps correct.
KERNEL_ALLOWED = frozenset({"cronsim"})

# Imports inside functions, each with the start-up it saves, measured. (importer, target) → reason.
LAZY: dict[tuple[str, str], str] = {
    ("remit.cli.policy", "remit.control.policies.files"): "230 ms of the verbs that read no policy file",
    ("remit.control.policies.applying", "remit.control.policies.files"): "230 ms for YAML and its models; only applying a policy needs it",
    ("remit.engine.governing.patterns", "re2"): "6 ms; only policies with filters need it",
    ("remit.cli.target", "remit.cli.workflow_target"): "160 ms of verbs about processes",
    ("remit.control.client", "remit.control.app"): "230 ms of the verbs that only look",
    ("remit.workflows.format.conformity", "jsonschema"): "40 ms of loading workflows; only a state or an answer that is written as JSON Schema needs it",
    ("remit.workflows.format.conformity", "jsonschema.exceptions"): "40 ms of loading workflows; only a state or an answer that is written as JSON Schema needs it",
    ("remit.engine.values.json_schemas", "jsonschema"): "40 ms of `import remit`; only answers to asks and schemas in files need it",
    ("remit.engine.values.json_schemas", "jsonschema.validators"): "40 ms of `import remit`; only answers to asks and schemas in files need it",
    ("remit.control.evaluating.cases", "remit.workflows.format.source"): "26 ms for YAML; only evaluations with cases in such a file need it",
    ("remit.control.releases.webhooks", "remit.control.releases.delivery"): "60 ms for httpx; only apps with webhooks need it",
    ("remit.control.hosting", "remit.workflows.hosting"): "230 ms: YAML, the models of its steps, expressions; only apps with workflow files need them",
    ("remit.workflows.http.step", "remit.workflows.http.sending"): "27 ms for httpx; only workflows with HTTP steps need it",
    ("remit.engine.definitions", "semantic_version"): "29 ms; it reads package metadata, and only defining a process needs it",
    ("remit.engine.apart.workers", "anyio.to_thread"): "11 ms; needed once an app is open",
    ("remit.testing.plugin", "remit.testing.harness"): "220 ms of every pytest run where remit is installed; only tests that ask for an app need it",
    ("remit.cli.audit", "remit.control.auditing.signing"): "36 ms for cryptography, an extra that only signed checkpoints need",
    ("remit.store.keyring", "remit.store.aes"): "36 ms for cryptography, an extra that only encrypted stores need",
}


def layer_of(name: str) -> str:
    """The layer of a module: `remit.kernel.lease` → kernel, `remit` and `remit.durable` → face."""
    if name == "remit.__main__":
        return "cli"  # `python -m remit` is the command line by another name
    parts = name.split(".")
    known = {layer for rank in LAYERS for layer in rank} | PUBLIC_ONLY
    return parts[1] if len(parts) > 1 and parts[1] in known else "face"


def public_names(modules: frozenset[str]) -> frozenset[str]:
    """The modules that anyone may import: the face, the errors, and the two packages made for users."""
    face = {name for name in modules if layer_of(name) in {"face", "errors"}}
    return frozenset(face | {"remit", "remit.errors", "remit.workflows", "remit.testing"})
