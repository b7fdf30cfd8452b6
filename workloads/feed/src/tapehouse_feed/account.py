"""What became of a feed's frames, and why no event has come."""

from tapehouse_feed.session import Session
from tapehouse_feed.watch import Account

_SAMPLE = "compare spec.mapping with a frame: tapehouse sample shows both"


def account_of(session: Session, heartbeats: int = 0) -> Account:
    """Every frame since the start, by what became of it."""
    left_out = {why: count for why, count in session.skipped.items() if count}
    if heartbeats:
        left_out["heartbeat"] = heartbeats
    return Account(
        frames=session.frames + heartbeats,
        events=session.events.total(),
        dead_letters=session.dead.total(),
        left_out=left_out,
        newest_dead_letter=session.newest_dead,
    )


def without_event(account: Account, *, is_socket: bool) -> str:
    """Why there has been no event, of a feed that never had one; empty while that is usual.

    A socket that brings nothing is worth a word; files may still be on their way.
    """
    if account.events or account.left_out.get("duplicate"):
        return ""
    if account.nothing_mapped:
        return f"no frame so far matches a rule of spec.mapping; {_SAMPLE}"
    if account.dead_letters:
        return "every event so far is a dead letter; see spec.events, spec.mapping and the letters"
    if not is_socket:
        return ""
    if account.frames:
        return (
            "only handshakes and heartbeats have come so far; "
            "check spec.source.websocket.subscribe and replies"
        )
    return "nothing has come from the source yet; check spec.source.websocket.subscribe"
