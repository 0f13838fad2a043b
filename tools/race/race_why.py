# SPDX-License-Identifier: MIT
"""Why a race that was stepped through is stuck or went wrong, in three sentences; for
race_step.py.

If it is stuck, the first sentence says which role waits for which lock or answer; the second, which
role or cache holds that, and what would have freed it.  If it went wrong, the first has the
expected and the actual value; the second, the move since which they differ.  The third names the
line of the right code that prevents the fault, found in the wrong variant's changes.
"""
import re
import subprocess

import variant
from rooms import read

# The points that a role passes with a sleeping lock held, until its operation ends.
HOLDS = {
    "cpu_hotplug": r"cpu\.(down_locked|up_locked|online_cleared)",
    "mem_hotplug": r"(add|remove)\.block|offline\.commit|iso\.block_set",
    "pcp_ctl": r"pcpdis\.locked|drain\.(mask|complete)|pcpen\.posted|ipi\.",
    "poison": r"mf\.",
    "zone": r"free\.buddy_locked|iso\.scanned|takeoff\.locked",
}
MEANING = {
    "leak": "every page is free, cached or has one owner, and none is lost",
    "offline_cpu": "no cross-call goes to a CPU that is not online",
    "from_alloc": "no allocation makes a cross-call",
    "I-I8": "no isolated pageblock holds an unmovable page",
    "flagged": "the page is not marked as broken",
    "unflagged": "the page is marked as broken",
}


def outcome_word(outcome):
    """The heading of an outcome."""
    return "WRONG" if re.match(r"CHECK|WRONG|COUNT", outcome) else outcome


# ---- the line of the right code ------------------------------------------------------------------


TYPES = r"\s+(const |static |unsigned |struct |enum |size_t |int |bool |u8 |u32 |u64 |pfn_t )"


def weight(line):
    """How much a line of C does: 0 nothing, 1 declares or returns, 2 more."""
    text = line.strip()
    if not line.startswith("\t") or re.match(r"/?\*|_Static_assert|KASSERT|sched_point", text):
        return 0
    if not re.search(r"[(=]|\breturn\b|\bgoto\b", text) or re.search(r"\{.*,$", text):
        return 0
    return 1 if re.match(TYPES, line) or "(" not in text else 2


def changed_line(v):
    """(path, number, text, is it in the right code?) of the line that a variant changes most."""
    best = (0, None)
    for path, old, new in v.edits:
        before = read(path).split(old)[0].count("\n")
        for text, other, own in ((old, new, True), (new, old, False)):
            lines, others = text.split("\n"), [line.strip() for line in other.split("\n")]
            for i, line in enumerate(lines):
                # A removed line of the right code tells more than a line that the variant adds.
                value = 2 * weight(line) + own if weight(line) else 0
                if line.strip() not in others and value > best[0]:
                    number = before + 1 + (i if own else 0)
                    best = (value, (path, number, " ".join(line.split()), own))
    return best[1] or moved_line(v)


def moved_line(v):
    """As changed_line(), for a variant that only changes the order of lines."""
    for path, old, new in v.edits:
        before = read(path).split(old)[0].count("\n")
        lines, others = old.split("\n"), new.split("\n")
        for i, (line, other) in enumerate(zip(lines, others + lines)):
            if line != other and weight(line):
                return path, before + 1 + i, " ".join(line.split()), True
    return None


def right_code(ident, script=None):
    """A sentence about the line of the right code that prevents this fault."""
    if ident == "none":
        if script and script.expect["none"] != "OK":
            return f"The script expects this of the right code, too: {script.title}."
        return "This is the right code, and no line of it is meant to allow this."
    v = variant.read(ident)
    found = changed_line(v)
    why = re.sub(r"^historic( \(\d+\))?: ", "", v.get("why"))
    if not found:
        return f"The right code prevents it.  In {ident}, {why}."
    path, number, text, own = found
    text = re.sub(r" */\*.*", "", text)
    if own:
        return f"The right code prevents it at {path}:{number}, \"{text}\".  In {ident}, {why}."
    return f"The right code has no \"{text}\", which {ident} adds at {path}:{number}.  There {why}."


# ---- stuck ---------------------------------------------------------------------------------------


def since(pictures, get):
    """The first picture from which get(picture) stays the same to the end."""
    last = len(pictures) - 1
    while last and get(pictures[last - 1]) == get(pictures[-1]):
        last -= 1
    return pictures[last]


def move_of(picture):
    return f"move {picture.number} ({picture.mover.lower()})" if picture.number else "the start"


def holders(pictures, lock):
    """[(role, number of the move, point)] of roles that hold @lock, by the points they passed."""
    found = []
    for role in pictures[-1].roles:
        held = None
        for p in pictures:
            where = p.roles.get(role, "")
            if not re.match(r"at |waits |runs ", where):
                held = None
            place = re.match(r"at ([\w.]+)", where)
            if place and not held and re.match(HOLDS.get(lock, "$^"), place.group(1)):
                held = (role, p.number, place.group(1))
        if held:
            found.append(held)
    return found


def held_answer(pictures, cpu):
    other = chr(ord("A") + cpu)
    if "irqs off" in pictures[-1].roles.get(other, ""):
        return f"{other} keeps interrupts off on CPU {cpu}, which would answer if they were on"
    return f"CPU {cpu} has not answered, and would in an interrupt"


def held_reclaim(pictures):
    held = holders(pictures, "cpu_hotplug")
    if not held:
        return "the reclaim thread would free it at the end of its run"
    who, move, point = held[0]
    holds = f"which {who} holds since move {move} ({point}) and would release at the end of its"
    return f"the reclaim thread needs cpu_hotplug, {holds} operation"


def held_page(pictures, waiting):
    moving = [r for r, w in pictures[-1].roles.items() if re.match(r"at (mig|mf|reclaim)\.", w)]
    roles = " and ".join(waiting)
    if moving:
        return f"{moving[0]} moves the page, and would wake {roles} once it has moved"
    return (
        f"no role holds it: the page has moved, its wake-up is past, and one that came after "
        f"{roles} had queued would have freed {roles}"
    )


def held_lock(pictures, lock, waiting):
    held = holders(pictures, lock)
    if held:
        who, move, point = held[0]
        itself = "itself " if who in waiting else ""
        return (
            f"{who} {itself}holds {lock} since move {move} ({point}), and would release it at the "
            "end of its operation"
        )
    roles = pictures[-1].roles.items()
    others = [r for r, w in roles if r not in waiting and re.match(r"at |waits ", w)]
    if not others:
        return f"no role holds {lock}"
    return f"{' or '.join(others)} holds {lock}, and would release it once its own wait ends"


def kept_by(pictures, waits):
    """A sentence on each lock or answer that roles of @waits, {role: where}, wait for: the reason
    why they wait, and what would end the wait."""
    found = {}  # {text of a wait: roles that wait so}
    for role, where in waits.items():
        what = re.sub(r", (in an interrupt|irqs off)", "", where)
        found.setdefault(what, []).append(role)
    for what, roles in found.items():
        answer = re.match(r"waits for an answer from CPU (\d+)", what)
        if answer:
            yield held_answer(pictures, int(answer.group(1)))
        elif "reclaim thread" in what:
            yield held_reclaim(pictures)
        elif what.startswith("waits for lock "):
            page, lock = what.endswith(" page moved"), what[15:]
            yield held_page(pictures, roles) if page else held_lock(pictures, lock, roles)
        else:
            yield f"{what[10:]} is held up by an interrupt, which would have to end"


def goes_round(pictures, role):
    page = pictures[-1].page
    cache = re.search(r"in the cache of CPU (\d+)", page)
    if cache:
        entered = since(pictures, lambda p: "in the cache of" in p.page)
        return (
            f"The cache of CPU {cache.group(1)} holds P since {move_of(entered)}; only a drain of "
            "that cache, or a free that saw the isolated pageblock, would have freed it."
        )
    roles, when = pictures[-1].roles.items(), move_of(since(pictures, lambda p: p.page))
    others = ", ".join(f"{r} ({w})" for r, w in roles if r != role and " at " in f" {w}")
    end = f"{others} would have to go on." if others else "no other role can change it."
    return f"{page[0].upper() + page[1:]} since {when}; {end}"


def waits_of(picture):
    return {r: w for r, w in picture.roles.items() if w.startswith("waits ")}


def sentence(text):
    return text[0].upper() + text[1:] + "."


def stuck(stepper, ident):
    """Three sentences about why no role can move."""
    pictures, why = stepper.pictures, stepper.why
    last = pictures[-1]
    around = re.match(r"([A-H]) goes round: (\S+)", why)
    if around:
        role, point = around.groups()
        what = " for the range to be free" if point.startswith("offline.") else ""
        first = f"{role} waits in a loop{what}: it comes to {point} again and again, and nothing "
        first += "changes."
        second = goes_round(pictures, role)
    elif "comes to no point" in why:
        busy = re.findall(r"([A-H]) (\w+\([^;]*?\)) ?(?:after|kept|;|$)", why)
        names = ", ".join(f"{r} in {op}" for r, op in busy) or "A role"
        first = f"{names} runs on and on, and waits for what no other role does."
        second = "Each undoes what the other needs: the page would be free if one of them paused."
        if len(busy) < 2:
            second = "A move of another role, made before this one, would have ended it."
    else:
        waits = waits_of(last)
        first = sentence("; ".join(f"{r} {w}" for r, w in waits.items()) or "no role can move")
        second = sentence("; ".join(kept_by(pictures, waits)) or "no role holds anything")
    return [first, second, right_code(ident, stepper.script)]


# ---- wrong ---------------------------------------------------------------------------------------


def meaning(ident, message):
    """The meaning of an invariant, from docs/mm/check.md."""
    page = read("docs/mm/check.md")
    rows = re.findall(r"^\| ([\w-]+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    rows = [row for row in rows if row[0] == ident]
    exact = [row for row in rows if message.startswith(row[1])]
    return (exact or rows or [("", "", MEANING.get(ident, ""))])[0][2].replace("`", "")


def broken(stepper, ident):
    """Three sentences about an invariant that does not hold."""
    pictures = stepper.pictures
    found = re.match(r"(\S+) (.*?): at (\S+): (\d+), should be (\d+)", stepper.why)
    if not found:
        return [sentence(stepper.why or stepper.outcome), right_code(ident)]
    name, message, at, have, want = found.groups()
    expected = meaning(name, message)
    first = f"Expected: {expected} ({name}); found: " if expected else f"Found ({name}): "
    first += f"{message}, at {int(at, 0):#x}: {have}, should be {want}."
    first = first.replace("on CPU, at 0x", "on CPU ").replace(", at 0x0:", ":")
    good = [p.number for p in pictures[:-1] if p.idle()]
    seen = since(pictures, lambda p: (p.page, p.more))
    number = pictures[-1].number
    passed = f"move {good[-1]}" if good and good[-1] else "the start"
    second = f"The last check that passed was at {passed}"
    if not good:
        second = "No check was made before"
    second += f", so it broke by move {number}"
    second += f"; page P and the caches are as shown since {move_of(seen)}." if seen.number else "."
    return [first, second, right_code(ident, stepper.script)]


def not_wanted(wrong, ident):
    """Sentences about an unexpected result of an operation; @wrong: (move, entry, result)."""
    number, entry, result = wrong
    first = f"Expected of {entry.role} in the recorded order: {entry.want}; its operation returned "
    return [f"{first}{result}.", f"It has been so since move {number}.", right_code(ident)]


def sentences(stepper, ident):
    return stuck(stepper, ident) if stepper.outcome == "STUCK" else broken(stepper, ident)


def judged(program, script, text, ident):
    """Run the script, which makes more checks than a stepper: three sentences about its end."""
    command = [program, f"--model={script.model}", script.name]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
    end = re.search(rf"^race: end {re.escape(script.name)} (.*)$", out, re.MULTILINE)
    outcome = end.group(1) if end else "CRASH"
    counted = re.match(r"COUNT\((.*)\)$", outcome)
    if counted:
        name = re.escape(counted.group(1))
        have = re.findall(rf"^\d+ - count {name} (\d+)", out, re.MULTILINE)
        want = re.findall(rf"\bcount {name}=(\d+)", text)
        first = f"WRONG, {outcome}: in the recorded order the script expects {counted.group(1)}="
        first += f"{' or '.join(want)}; found: {have[-1] if have else '?'}."
    else:
        why = re.search(r"^race: why: (.*)$", out, re.MULTILINE)
        first = f"The script, which checks more, ends {outcome}{why and ': ' + why.group(1) or ''}."
    second = "The move is not known: a stepper makes fewer checks, and counts nothing."
    return [first, second, right_code(ident, script)]
