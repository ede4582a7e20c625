"""What is not here of `agntcy_acp`: manifests, by which AGNTCY's workflow server deploys agents."""

from typing import Final

# What `agntcy_acp.models` has beside the protocol's.
MANIFESTS: Final = frozenset(
    {
        "AgentConnectProtocol",
        "AgentDependency",
        "AgentDeployment",
        "AgentManifest",
        "Capabilities",
        "ConfigSchema",
        "DeploymentOptions",
        "DockerDeployment",
        "EnvVar",
        "EnvVarValues",
        "ErrorResponse",
        "FrameworkType",
        "InputSchema",
        "Interrupt",
        "InterruptPayloadSchema",
        "LangGraphConfig",
        "LlamaIndexConfig",
        "OutputSchema",
        "RemoteServiceDeployment",
        "ResumePayloadSchema",
        "SecurityScheme",
        "SourceCodeDeployment",
        "StreamUpdateSchema",
        "Streaming",
        "ThreadStateSchema",
    }
)


def elsewhere(name: str) -> ImportError:
    """The error that tells where a name is; its words are shown also by `from ... import`."""
    return ImportError(
        f"{name} is about manifests, by which AGNTCY's workflow server deploys agents. No client and no node "
        "needs them; a program that does imports it from agntcy_acp as before"
    )
