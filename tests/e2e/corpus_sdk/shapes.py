"""Whether a JSON value is what an SDK's types say: TypedDicts, pydantic models, the shapes of a
botocore service. Stricter than the SDKs themselves, which pass on what they do not know: a member
of no name that the type has is a finding, and so is a word that an enumeration has not.

`findings(value, type)` and `shape_findings(value, shape)` return a list of sentences, best match
first where there is a choice; empty when the value fits.
"""
import base64
import binascii
import collections.abc
import datetime
import enum
import functools
import re
import types
import typing

import typing_extensions

LISTS = (list, collections.abc.Iterable, collections.abc.Sequence, collections.abc.Collection)
MAPS = (dict, collections.abc.Mapping)
UNIONS = (typing.Union, types.UnionType)


def plain(kind):
    """The type without what is only said about it, and what is said."""
    said = []
    while True:
        origin = typing.get_origin(kind)
        if origin is typing.Annotated:
            kind, *more = typing.get_args(kind)
            said += more
        elif origin in (typing.Required, typing.NotRequired, typing_extensions.Required,
                        typing_extensions.NotRequired, typing_extensions.ReadOnly):
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, (typing_extensions.TypeAliasType,
                               getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType))):
            kind = kind.__value__
        else:
            return kind, said


def is_model(kind):
    return isinstance(kind, type) and hasattr(kind, "model_fields")


@functools.cache
def members_of(kind):
    """Of a TypedDict or a model: its members by their names on the wire, (type, required)."""
    if is_model(kind):
        out = {}
        for name, field in kind.model_fields.items():
            said = field.metadata + plain(field.annotation)[1]
            aliases = [m.alias for m in said if isinstance(getattr(m, "alias", None), str)]
            out[(aliases + [field.alias or name])[0]] = (field.annotation, field.is_required())
        return out
    hints = typing.get_type_hints(kind, include_extras=True)
    return {next((m.alias for m in plain(hint)[1] if getattr(m, "alias", None)), name):
            (hint, name in kind.__required_keys__) for name, hint in hints.items()}


def object_findings(value, kind, path):
    if not isinstance(value, dict):
        return [f"{path} is no object"]
    members = members_of(kind)
    out = [f"{path}.{name} is missing" for name, (_, required) in members.items()
           if required and name not in value]
    for name, inner in value.items():
        if name not in members:
            out.append(f"{path}.{name} is unknown to {kind.__name__}")
        elif inner is not None or not is_model(kind):
            out += findings(inner, members[name][0], f"{path}.{name}")
    return out


def depth(found):
    """How far the deepest finding lies: the alternative that fits best fails last."""
    return max(sentence.split(" ")[0].count(".") for sentence in found)


def tag_misses(value, kind):
    """Whether a literal member, which tells alternatives apart, says that this is not the one."""
    kind = plain(kind)[0]
    if not isinstance(value, dict) or not (is_model(kind) or typing_extensions.is_typeddict(kind)):
        return False
    return any(name in value and findings(value[name], hint, "") and
               typing.get_origin(plain(hint)[0]) is typing.Literal
               for name, (hint, _) in members_of(kind).items() if name in ("type", "role"))


def union_findings(value, options, path):
    best = None
    for option in options:
        found = findings(value, option, path)
        if not found:
            return []
        rank = (tag_misses(value, option), -depth(found), len(found))
        if best is None or rank < best[0]:
            best = (rank, found)
    return best[1]


def scalar_findings(value, kind, path):
    fits = {
        bool: lambda: isinstance(value, bool),
        int: lambda: isinstance(value, int) and not isinstance(value, bool),
        float: lambda: isinstance(value, (int, float)) and not isinstance(value, bool),
        str: lambda: isinstance(value, str),
        bytes: lambda: isinstance(value, str) and is_base64(value),
        type(None): lambda: value is None,
        datetime.datetime: lambda: isinstance(value, str),
    }.get(kind)
    if fits is None or fits():
        return []
    return [f"{path} is {value!r:.60}, which is no {kind.__name__}"]


def is_base64(text):
    try:
        base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        return False
    return True


def findings(value, kind, path="body"):
    kind, said = plain(kind)
    if kind in (typing.Any, object):
        return []
    origin, given = typing.get_origin(kind), typing.get_args(kind)
    if origin in UNIONS:
        options = given
        if any(typing.get_origin(plain(option)[0]) is typing.Literal for option in given):
            # `Literal[...] | Any`: the words that an SDK knows, and those that it will.
            options = [option for option in given if option is not typing.Any]
        return union_findings(value, options, path)
    if origin is typing.Literal:
        return [] if value in given else [f"{path} is {value!r:.60}, not of {given!s:.120}"]
    if origin in LISTS or kind in LISTS:
        if not isinstance(value, list):
            return [f"{path} is no list"]
        inner = given[0] if given else typing.Any
        return [f for i, item in enumerate(value) for f in findings(item, inner, f"{path}[{i}]")]
    if origin in MAPS or kind in MAPS:
        if not isinstance(value, dict):
            return [f"{path} is no object"]
        inner = given[1] if given else typing.Any
        return [f for name, item in value.items() for f in findings(item, inner, f"{path}.{name}")]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        words = [member.value for member in kind]
        return [] if value in words else [f"{path} is {value!r:.60}, not of {words!s:.120}"]
    if typing_extensions.is_typeddict(kind) or is_model(kind):
        return object_findings(value, kind, path)
    if hasattr(origin, "__origin__") or (isinstance(origin, type) and given and
                                         hasattr(origin, "__iter__")):
        # The SDKs' own words for a list that is not a text.
        return findings(value, list[given[0]], path)
    return scalar_findings(value, kind, path)


def shape_findings(value, shape, path="body"):
    """The same for a shape of botocore's, with its patterns and bounds."""
    kind = shape.type_name
    if kind == "structure":
        return structure_findings(value, shape, path)
    if kind == "list":
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return bound_findings(len(value), shape, path, "items") + [
            f for i, item in enumerate(value)
            for f in shape_findings(item, shape.member, f"{path}[{i}]")]
    if kind == "map":
        if not isinstance(value, dict):
            return [f"{path} is no object"]
        return bound_findings(len(value), shape, path, "pairs") + [
            f for name, item in value.items()
            for f in shape_findings(name, shape.key, path) +
            shape_findings(item, shape.value, f"{path}.{name}")]
    if kind == "string":
        return string_findings(value, shape, path)
    if kind == "blob":
        fits = isinstance(value, str) and is_base64(value)
        return [] if fits else [f"{path} is no base64"]
    if kind in ("integer", "long", "float", "double"):
        whole = kind in ("integer", "long")
        found = scalar_findings(value, int if whole else float, path)
        return found or bound_findings(value, shape, path, "")
    return scalar_findings(value, bool, path) if kind == "boolean" else []


def structure_findings(value, shape, path):
    if getattr(shape, "is_document_type", False):
        return []
    if not isinstance(value, dict):
        return [f"{path} is no object"]
    members = {name: member for name, member in shape.members.items()
               if member.serialization.get("location") is None}
    out = [f"{path}.{name} is missing" for name in shape.required_members
           if name in members and name not in value]
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        out.append(f"{path} says {sorted(value)}, and must be one of {sorted(members)}")
    for name, inner in value.items():
        if name in members:
            out += shape_findings(inner, members[name], f"{path}.{name}")
        else:
            out.append(f"{path}.{name} is unknown to {shape.name}")
    return out


def bound_findings(number, shape, path, unit):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and number < low) or (high is not None and number > high):
        return [f"{path} has {number} {unit}, and may have {low} to {high}"]
    return []


def string_findings(value, shape, path):
    if not isinstance(value, str):
        return [f"{path} is {value!r:.60}, which is no text"]
    if shape.enum and value not in shape.enum:
        return [f"{path} is {value!r:.60}, not of {shape.enum!s:.120}"]
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value, re.DOTALL):
        return [f"{path} is {value!r:.60}, against the pattern {pattern:.80}"]
    return bound_findings(len(value), shape, path, "characters")
