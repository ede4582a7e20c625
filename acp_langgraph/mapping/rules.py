"""Rules: where one value of a mapping comes from.

    "mail.subject"                      copy what is at a path
    "Send {mail.subject} to {person}"   fill a template
    copy("mail.cc", optional=True)      copy if it is there
    const("de")                         always this value (numbers, booleans and None need no const)
    coalesce("corrected", "draft")      the first that is there and not None
    each("docs", {"name": "title"})     map every item of a list
    from_config("recipient")            config["configurable"]["recipient"]
    call(join, "first", "last")         a function of values
    lambda state: ...                   a function of the state, or of (state, config)
    llm("how urgent it is, 1 to 5")     what only a model can tell

A path starts in the source of the mapping: the state, or in a node's `output` the agent's answer,
or in `each` the item. `state:` and `config:` before it start in the state and in
`config["configurable"]` instead, anywhere, also in templates: `"Dear {config:name}"`; `context:`
starts in the run's context.

A rule is data: it is compared, printed, and written as JSON. `acp_langgraph.mapping.compiling` checks
it against the declared types, `acp_langgraph.mapping.running` makes it run.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.paths import PathSyntaxError, StatePath

ROOTS: Final = ("state", "config", "context")


@dataclass(frozen=True, slots=True)
class Source:
    """A place to read from.

    Attributes:
        path: Where.
        root: In what: `""` the source of the mapping, `state`, `config` or `context`.
    """

    path: StatePath
    root: str = ""

    @classmethod
    def parse(cls, text: str | Source) -> Source:
        """Read `path`, `state:path`, `config:path` or `context:path`."""
        if isinstance(text, Source):
            return text
        root, colon, rest = text.partition(":")
        if colon and root in ROOTS:
            return cls(StatePath.parse(rest), root)
        return cls(StatePath.parse(text))

    def __str__(self) -> str:
        return f"{self.root}:{self.path}" if self.root else str(self.path) or "(everything)"


@dataclass(frozen=True, slots=True)
class Copy:
    """What is at a place.

    Attributes:
        source: The place.
        default: What to take if nothing is there or it is `None`.
        optional: Leave the target out in that case.
    """

    source: Source
    default: Any = MISSING
    optional: bool = False

    def __str__(self) -> str:
        if self.optional:
            return f"{self.source} (if there)"
        return str(self.source) if self.default is MISSING else f"{self.source} or {self.default!r}"


@dataclass(frozen=True, slots=True)
class Const:
    """Always the same value."""

    value: Any

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with values in it.

    Attributes:
        text: The text as it was written.
        parts: Literal texts, and places with a format specification.
    """

    text: str
    parts: tuple[str | tuple[Source, str], ...]

    def __str__(self) -> str:
        return repr(self.text)


@dataclass(frozen=True, slots=True)
class Coalesce:
    """The first of several that is there and not `None`."""

    rules: tuple[Rule, ...]

    def __str__(self) -> str:
        return f"first of {', '.join(map(str, self.rules))}"


@dataclass(frozen=True, slots=True)
class Each:
    """Every item of a list, mapped.

    Attributes:
        source: The list.
        item: How an item is made: one rule, or rules by field.
    """

    source: Source
    item: Rules

    def __str__(self) -> str:
        if isinstance(self.item, Mapping):
            inner = ", ".join(f"{target}: {rule}" for target, rule in self.item.items())
            return f"each of {self.source}: {{{inner}}}"
        return f"each of {self.source}: {self.item}"


@dataclass(frozen=True, slots=True)
class Call:
    """What a function makes of values.

    Attributes:
        function: The function.
        sources: What it is given; nothing means the whole source, and the config if it takes two.
        name: How it is called in plans.
    """

    function: Callable[..., Any]
    sources: tuple[Source, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.sources))})"


@dataclass(frozen=True, slots=True)
class Semantic:
    """What only a model can tell.

    Attributes:
        meaning: What the value means, in words.
        sources: What the model is shown; nothing means the whole source.
        examples: Good values, as text.
    """

    meaning: str
    sources: tuple[Source, ...] = ()
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" from {', '.join(map(str, self.sources))}" if self.sources else ""
        return f"model{shown}: {self.meaning}"


Rule: TypeAlias = Copy | Const | Template | Coalesce | Each | Call | Semantic
Rules: TypeAlias = "Rule | Mapping[str, Rule]"

_RULES: Final = (Copy, Const, Template, Coalesce, Each, Call, Semantic)


def copy(source: str, *, default: Any = MISSING, optional: bool = False) -> Copy:
    """Copy what is at a path.

    Args:
        source: The path.
        default: What to take if nothing is there or it is `None`.
        optional: Leave the target as it is in that case.
    """
    if optional and default is not MISSING:
        raise NodeConfigurationError(f"copy({source!r}): either a default or optional, not both")
    return Copy(Source.parse(source), default, optional)


def const(value: Any) -> Const:
    """Always this value."""
    return Const(value)


def template(text: str) -> Template:
    """A text with values in it.

    Args:
        text: `{path}` or `{path:format}` is replaced by the value there, which must not be `None`;
            an enum is written as its value, a model or list as JSON. `{{` and `}}` are braces.

    Raises:
        NodeConfigurationError: If a brace is left open, or there is no path between two.
    """
    return Template(text, tuple(_template_parts(text)))


def coalesce(*rules: Any) -> Coalesce:
    """The first of several rules whose value is there and not `None`."""
    if not rules:
        raise NodeConfigurationError("coalesce() needs something to choose from")
    given = [as_rule(each) for each in rules]
    inner = [rule.rules if isinstance(rule, Coalesce) else (rule,) for rule in given]
    return Coalesce(tuple(rule for some in inner for rule in some))


def each(source: str, item: Any) -> Each:
    """Map every item of a list.

    Args:
        source: The path of the list.
        item: How an item of the target is made: a rule, or rules by field, whose paths start in the
            item of the source.
    """
    return Each(Source.parse(source), as_rules(item))


def from_config(key: str, *, default: Any = MISSING) -> Copy:
    """Take `config["configurable"][key]`."""
    return Copy(Source(StatePath.parse(key), "config"), default)


def call(function: Callable[..., Any], *sources: str, name: str = "") -> Call:
    """Call a function.

    Args:
        function: A plain function; it is called again when a node is, so it should only compute.
        sources: Paths of its arguments. Without any it is given the whole source, and the
            configuration too if it takes two arguments.
        name: How it is called in plans; otherwise its own name.

    Raises:
        NodeConfigurationError: If the function is asynchronous.
    """
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object may have an asynchronous one
    ):
        raise NodeConfigurationError(
            f"{function!r} is asynchronous; a mapping only computes. Await in a node of its own"
        )
    named = name or getattr(function, "__name__", type(function).__name__)
    return Call(function, tuple(Source.parse(each) for each in sources), named)


def llm(meaning: str, *sources: str, examples: tuple[str, ...] | list[str] = ()) -> Semantic:
    """Have a model tell the value.

    Args:
        meaning: What the value means.
        sources: Paths of what the model is shown; without any, the whole source.
        examples: Good values, as text.
    """
    return Semantic(meaning, tuple(Source.parse(each) for each in sources), tuple(examples))


def as_rule(given: Any) -> Rule:
    """A rule from what may stand for one: a path, a template, a function, a plain value.

    Raises:
        NodeConfigurationError: If nothing can be made of it.
    """
    if isinstance(given, _RULES):
        return given
    if isinstance(given, str):
        try:
            return template(given) if "{" in given or "}" in given else copy(given)
        except PathSyntaxError as error:
            raise NodeConfigurationError(f"{error}; for the text itself write const(...)") from None
    if given is None or isinstance(given, (bool, int, float)):
        return Const(given)
    if isinstance(given, StatePath):
        return Copy(Source(given))
    if callable(given):
        return call(given)
    raise NodeConfigurationError(
        f"{type(given).__name__} is no rule of a mapping; use a path, a template, a function, "
        "const(...), coalesce(...), each(...), from_config(...) or llm(...)"
    )


def as_rules(given: Any) -> Rules:
    """One rule, or rules by target path; nested dicts are targets inside each other."""
    return flat(given) if isinstance(given, Mapping) else as_rule(given)


def sources_of(rule: Rule) -> tuple[Source, ...]:
    """The places that a rule reads, but for those of the rules inside it."""
    match rule:
        case Copy(source) | Each(source):
            return (source,)
        case Template(_, parts):
            return tuple(part[0] for part in parts if not isinstance(part, str))
        case Call(_, sources) | Semantic(_, sources):
            return sources
        case _:
            return ()


def flat(given: Mapping[Any, Any], above: StatePath | None = None) -> dict[str, Rule]:
    """Rules by target path, the paths in their canonical form.

    Raises:
        NodeConfigurationError: If a target is no path, or is named twice.
    """
    rules: dict[str, Rule] = {}
    for target, below in given.items():
        path = (above or StatePath()) / StatePath.parse(target)
        inner = flat(below, path) if isinstance(below, Mapping) else {str(path): as_rule(below)}
        for name, rule in inner.items():
            if name in rules:
                raise NodeConfigurationError(f"{name or 'the whole target'} has two rules")
            rules[name] = rule
    return rules


# Between braces: a place, which may hold quoted names, and after a colon how to format it.
_HOLE: Final = re.compile(
    r"""\{(?P<place>(?:(?:state|config|context):)?(?:"[^"]*"|'[^']*'|[^{}:"'])*)(?::(?P<spec>[^{}]*))?\}"""
)


def _template_parts(text: str) -> list[str | tuple[Source, str]]:
    parts: list[str | tuple[Source, str]] = []
    literal = ""
    position = 0
    while position < len(text):
        if text[position : position + 2] in ("{{", "}}"):
            literal += text[position]
            position += 2
        elif text[position] in "{}":
            hole = _HOLE.match(text, position)
            if not hole or not hole["place"].strip():
                raise NodeConfigurationError(
                    f"the template {text!r} has a brace at position {position} that holds no path; "
                    "write {{ or }} for a brace itself"
                )
            if literal:
                parts.append(literal)
            parts.append((Source.parse(hole["place"].strip()), hole["spec"] or ""))
            literal = ""
            position = hole.end()
        else:
            literal += text[position]
            position += 1
    return [*parts, literal] if literal else parts


def rule_to_json(rule: Rules) -> Any:
    """The rule as JSON; a function is written as its name."""
    written: dict[str, Any]
    match rule:
        case Copy(source, default, optional):
            written = {"copy": str(source)}
            if default is not MISSING:
                written["default"] = default
            if optional:
                written["optional"] = True
        case Const(value):
            written = {"const": value}
        case Template(text):
            written = {"template": text}
        case Coalesce(rules):
            written = {"coalesce": [rule_to_json(inner) for inner in rules]}
        case Each(source, item):
            written = {"each": str(source), "item": rule_to_json(item)}
        case Call(_, sources, name):
            written = {"call": name, "sources": [str(source) for source in sources]}
        case Semantic(meaning, sources, examples):
            places = [str(source) for source in sources]
            written = {"llm": meaning, "sources": places, "examples": list(examples)}
        case _:
            written = {"fields": {target: rule_to_json(inner) for target, inner in rule.items()}}
    return written
