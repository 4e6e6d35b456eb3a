"""What each code of a finding means and how to mend it; codes that calls are refused with stand in `remit.errors`."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FINDING_CODES", "FindingCode"]


class FindingCode(NamedTuple):
    """One row: what was found, and what to do about it."""

    meaning: str
    mend: str


FINDING_CODES: dict[str, FindingCode] = {
    # reading files
    "missing_file": FindingCode("A file that was named is not there.", "Mend the name, or write the file."),
    "unreadable_file": FindingCode("The file cannot be read.", "See the message: its kind or its permissions."),
    "not_utf8": FindingCode("The file is not written in UTF-8.", "Save it as UTF-8."),
    "no_workflow": FindingCode("A directory has no workflow in it.", "Name the directory that has."),
    "unlisted_file": FindingCode("A registry does not list a workflow of its directory.", "List it, or move it away."),
    "registry_mismatch": FindingCode("A registry and the file it lists say different things.", "Let both say the same."),
    "duplicate_workflow": FindingCode("One type in one version is defined twice.", "Give one another type or version."),
    # reading YAML
    "yaml_syntax": FindingCode("The text is no YAML.", "Look at the place, and at the quote or bracket before it."),
    "yaml_duplicate_key": FindingCode("A mapping has a key twice.", "Take one out; a second workflow has its own file."),
    "yaml_documents": FindingCode("A file holds several documents.", "Give each workflow a file of its own."),
    "yaml_tag": FindingCode("A tag would build something from the file.", "Write plain data."),
    "yaml_alias": FindingCode("An alias names nothing, or itself.", "Define the anchor before it."),
    "yaml_merge": FindingCode("`<<` does not name a mapping.", "Let it name one, or a list of them."),
    "yaml_key": FindingCode("A key is no text.", "Write a text."),
    "yaml_number": FindingCode("A number is none that JSON can hold.", "Write a finite one, or put a text into quotes."),
    "yaml_too_deep": FindingCode("The data nests deeper than is read.", "Write it flatter."),
    "yaml_too_large": FindingCode("The file is larger than is read, aliases counted.", "Split the workflow."),
    "yaml_meaning": FindingCode("YAML 1.1 reads this word as something else.", "Put it into quotes, or write what is meant."),
    # the form of steps
    "missing_field": FindingCode("A field that must be there is not.", "Add it."),
    "missing_function": FindingCode("A step says neither what it runs nor its type.", "Add `function`, or a `type` that needs none."),
    "invalid_value": FindingCode("A value is not of the kind that its field takes.", "See the message for what it takes."),
    "unknown_key": FindingCode("A key is none of those there are.", "Mend its name, or take it out."),
    "unknown_step_type": FindingCode("There is no such type of step.", "Mend the type."),
    "unsupported_step_type": FindingCode("A type of step that this system leaves to functions.", "Write the step that the message names."),
    "unbounded_loop": FindingCode("A loop, or a round of jumps, has no end.", "Give the LOOP `max_iterations`, or a route that leads out."),
    # the order of steps
    "duplicate_step": FindingCode("Two steps or tasks have one name.", "Rename one."),
    "dependency_order": FindingCode("A step depends on one that does not stand before it.", "Move one of them."),
    "unreachable_step": FindingCode("No step leads to this one.", "Let a route or a jump lead to it, or take it out."),
    "unreachable_route": FindingCode("A route stands after one that always holds.", "Move it up, or take it out."),
    "missing_default": FindingCode("A decision does not say what happens when no condition holds.", "Add `- default: STEP`."),
    "nothing_to_await": FindingCode("An AWAIT step names one that leaves no child to wait for.", "Name a SUB_WORKFLOW step with `mode: async`."),
    # code and expressions
    "unknown_function": FindingCode("An import path leads to nothing that a workflow may use.", "Mend it, put the module beside the workflow, or allow its package."),
    "invalid_schema": FindingCode("A JSON Schema is none.", "Mend it at the place."),
    "bad_expression": FindingCode("An expression cannot be read.", "Write what the message suggests at the column."),
    "unknown_field": FindingCode("An expression reads a field that is not there.", "Mend the name, or add the field to the state's model."),
    "bad_schedule": FindingCode("A schedule's expression, zone or name is none.", "See the message."),
    "bad_request": FindingCode("An HTTP request could not be sent as it stands.", "See the message."),
    # calls
    "missing_input": FindingCode("A call does not pass what the callee needs.", "Add the field to the map."),
    "unknown_input": FindingCode("A call passes what the callee does not know.", "Mend the name, or take it out."),
    "wrong_input_type": FindingCode("A call passes a value that the callee's field does not take.", "Pass one of its kind."),
    "whole_state": FindingCode("A call passes everything on.", "Pass the fields that the callee needs."),
    "deep_nesting": FindingCode("Workflows nest more than three levels deep.", "Flatten the hierarchy where you can."),
    "small_child": FindingCode("A workflow that others call has fewer than three steps.", "Do its work in the parent, unless it stands for more."),
}  # fmt: skip
