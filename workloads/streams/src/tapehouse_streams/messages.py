"""What Flink says of a statement, cut down to what its author can use."""

import re

from tapehouse_streams.job import JobError

GATEWAY = "An error occurred while calling"
EXCEPTION = re.compile(r"^(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error)?:?\s*")
POSITION = re.compile(r"[Ll]ine (\d+), column (\d+)")
SPAN = re.compile(r"line (\d+), column (\d+) to line (\d+), column (\d+)")
HINT = re.compile(r"/\*\+.*?\*/", re.DOTALL)
EXPECTING = re.compile(r"\s*Was expecting.*", re.DOTALL)
SCHEMAS = re.compile(r"\n\s*\n?Query schema:.*", re.DOTALL)
GENERIC = ("SQL validation failed.", "SQL parse failed.", "Invalid SQL statement")
LONGEST = 400
FRAGMENT = 60


def cause(error: BaseException) -> str:
    """The innermost message of an error that came from Java, as one or two sentences."""
    return _cleaned(_innermost(str(error)))


def explained(error: BaseException, statement: str, path: str) -> JobError:
    """An error about a statement: what of it is wrong, and why."""
    remedy = cause(error)
    return JobError(path, _fragment(statement, remedy), remedy)


def _innermost(text: str) -> str:
    """The last cause that names a position in the SQL, else the last that says something."""
    causes = [_message(block) for block in re.split(r"\nCaused by: ", text)]
    causes = [message for message in causes if message]
    placed = [message for message in causes if POSITION.search(message)]
    return (placed or causes or [text])[-1]


def _message(block: str) -> str:
    """What one cause says, without class name and stack frames."""
    lines = [line for line in block.splitlines() if not _is_frame(line)]
    if lines and lines[0].startswith(GATEWAY):
        lines = lines[1:]
    return EXCEPTION.sub("", "\n".join(lines).strip().removeprefix(": ")).strip()


def _is_frame(line: str) -> bool:
    return bool(re.match(r"\s*(at [\w$.<>/]+\(|\.\.\. \d+ (more|common frames))", line))


def _cleaned(message: str) -> str:
    message = EXPECTING.sub("", SCHEMAS.sub("", message))
    message = re.sub(r"\s*\n\s*", " ", message).strip()
    for generic in GENERIC:
        if message.startswith(generic) and len(message) > len(generic):
            message = message.removeprefix(generic).strip()
    return message if len(message) <= LONGEST else f"{message[:LONGEST]}…"


def _fragment(statement: str, remedy: str) -> str:
    """The part of a statement a message points to, or its beginning."""
    lines = statement.splitlines()
    if span := SPAN.search(remedy):
        first, start, last, end = map(int, span.groups())
        if first == last and first <= len(lines):
            return lines[first - 1][start - 1 : end]
    if position := POSITION.search(remedy):
        line, column = map(int, position.groups())
        if line <= len(lines):
            return lines[line - 1][column - 1 :].strip()[:FRAGMENT]
    return " ".join(HINT.sub("", statement).split())[:FRAGMENT]
