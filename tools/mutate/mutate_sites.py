# SPDX-License-Identifier: MIT
"""Places where a program can write a mistake into the sources: the operators of mutate.py.

sites(path, flags) parses a source with libclang and gives a Site for each edit that an operator can
make in the functions of the file, and of the headers of the same directory that it includes.  Only
text of the file itself is edited, never the expansion of a macro.  The number of lines stays the
same.
"""
import ctypes
import os
import re
from dataclasses import dataclass

from clang import cindex
from clang.cindex import CursorKind as K

LOCKS = re.compile(
    r"^\w*_(lock|unlock)(_\w+)?$|^arch_irq_(save|restore|disable|enable)$"
    r"|^preempt_(disable|enable)$"
)
UNDO = re.compile(
    r"(^|_)(free|put|release|destroy|leave|undo|remove|drop|uncharge|close|wake|restore|back|del)"
    r"(_|$)"
)
# Calls that print text for people are not changed: other tests compare such text where it matters.
TALK = {"printk", "ksnprintf", "vprintk", "panic", "print_backtrace", "console_write"}
RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
# Comparisons in which swapped operands do not change whether the result is zero.
EVEN_HANDED = {"strcmp", "strncmp", "memcmp"}
PLAIN = {K.BINARY_OPERATOR, K.UNARY_OPERATOR, K.DECL_REF_EXPR, K.MEMBER_REF_EXPR}
PLAIN |= {K.INTEGER_LITERAL, K.PAREN_EXPR, K.CSTYLE_CAST_EXPR, K.UNEXPOSED_EXPR}
PLAIN |= {K.CONDITIONAL_OPERATOR, K.TYPE_REF}
# Statements that are not left out.
KEPT = {K.DECL_STMT, K.COMPOUND_STMT, K.IF_STMT, K.FOR_STMT, K.WHILE_STMT, K.SWITCH_STMT}
KEPT |= {K.CASE_STMT, K.DEFAULT_STMT, K.LABEL_STMT, K.RETURN_STMT, K.NULL_STMT, K.GOTO_STMT}
STORES = (K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR, K.UNARY_OPERATOR)
WEAKER = {"atomic_add": "+", "atomic_sub": "-", "atomic_or": "|", "atomic_and": "&"}
RETURNS = {
    cindex.TypeKind.VOID: "return;",
    cindex.TypeKind.POINTER: "return 0;",
    cindex.TypeKind.RECORD: None,
}


@dataclass(frozen=True)
class Site:
    path: str
    line: int
    function: str
    operator: str
    edits: tuple  # (start, end, new text) of each edit, by offset, in order

    def apply(self, text):
        """@text, the bytes of the file, with the edits applied; the lines keep their numbers."""
        for start, end, new in reversed(self.edits):
            lost = text[start:end].count(b"\n") - new.encode().count(b"\n")
            text = text[:start] + new.encode() + b"\n" * lost + text[end:]
        return text

    def key(self, text):
        """A name that changes only with the edited lines: file, function, operator, old => new @
        the text of the first line."""

        def words(part):
            return re.sub(r"\s+", " ", part).strip()

        begin = text.rfind(b"\n", 0, self.edits[0][0]) + 1
        line = text[begin : text.find(b"\n", begin)].decode()
        edits = [f"{words(text[s:e].decode())} => {words(new)}" for s, e, new in self.edits]
        place = f"{self.path} {self.function} {self.operator}"
        return f"{place}: {'; '.join(edits)} @ {words(line)}"


def spelled(location):
    """(path, offset) of a location's text, even in an argument of a macro."""
    file, (line, column, offset) = ctypes.c_void_p(), (ctypes.c_uint() for _ in range(3))
    found = map(ctypes.byref, (file, line, column, offset))
    cindex.conf.lib.clang_getFileLocation(location, *found)
    return offset.value


class Finder:
    """Collects the sites of the file that libclang calls @name, whose contents are @text."""

    def __init__(self, name, text):
        self.name, self.text, self.found = name, text, []
        self.path = os.path.normpath(name)  # the name is "./mm/core/zone.h", by the option -I.
        self.function = self.span = self.result = None

    def whole(self, cursor):
        """The offsets of a cursor's text in the source, calls of macros included; None if it is not
        within the function."""
        start, end = cursor.extent.start, cursor.extent.end
        if not start.file or start.file.name != self.name:
            return None
        first, last = start.offset, self.behind_macro(end.offset)
        return (first, last) if self.span[0] <= first < last <= self.span[1] else None

    def behind_macro(self, end):
        """@end, or the end of the macro's call there: if the last token comes from the argument of
        a macro in a macro, libclang gives the beginning of the call as the end."""
        call = re.compile(rb"(?<!\w)\w+\(").match(self.text, end)
        depth = 0
        for found in re.finditer(rb"[()]", self.text[call.end() - 1 :]) if call else ():
            depth += 1 if found.group() == b"(" else -1
            if not depth:
                return call.end() - 1 + found.end()
        return end

    def inner(self, cursor):
        """As whole(), for an expression that may be an argument of a macro."""
        start, end = spelled(cursor.extent.start), spelled(cursor.extent.end)
        if not cursor.extent.start.file or cursor.extent.start.file.name != self.name:
            return None
        return (start, end) if self.span[0] <= start < end <= self.span[1] else None

    def of(self, span):
        return self.text[span[0] : span[1]].decode()

    def add(self, operator, *edits):
        edits = tuple(sorted(edits))
        line = self.text.count(b"\n", 0, edits[0][0]) + 1
        self.found.append(Site(self.path, line, self.function, operator, edits))

    # ---- a function ----

    def visit_function(self, cursor):
        body = [c for c in cursor.get_children() if c.kind == K.COMPOUND_STMT]
        if not body:
            return
        self.function = cursor.spelling
        self.span = (cursor.extent.start.offset, cursor.extent.end.offset)
        self.result = cursor.result_type.get_canonical().kind
        self.visit(body[0], top=True)
        self.lock_pairs(body[0])

    def visit(self, cursor, top=False):
        children = list(cursor.get_children())
        if cursor.kind == K.COMPOUND_STMT:
            span = self.whole(cursor)
            if span and self.text[span[0] : span[0] + 1] == b"{":  # not a block in a macro
                self.statements(children, top)
        elif cursor.kind in (K.IF_STMT, K.WHILE_STMT, K.FOR_STMT):
            self.condition(cursor, children)
        elif cursor.kind in (K.CASE_STMT, K.DEFAULT_STMT):
            if self.is_statement(children[-1]):
                self.leave_out(children[-1])
        elif cursor.kind == K.BINARY_OPERATOR and len(children) == 2:
            self.binary(cursor, *children)
        elif cursor.kind == K.INTEGER_LITERAL:
            self.literal(cursor)
        elif cursor.kind == K.RETURN_STMT and children:
            self.returned(cursor, children[0])
        elif cursor.kind == K.CALL_EXPR:
            if cursor.spelling in TALK:
                return
            self.arguments(cursor)
        self.weaken(cursor)
        for child in children:
            self.visit(child)

    # ---- statements ----

    def is_statement(self, cursor):
        """May the statement be left out?  Not a declaration, a block, an assertion, or a call that
        prints text for people."""
        span = self.whole(cursor)
        if not span or cursor.kind in KEPT:
            return False
        if cursor.kind == K.DO_STMT and re.match(r"do\b", self.of(span)):
            return False  # a written loop, not the expansion of a macro
        called = re.match(r"(\w+)\(", self.of(span))
        name = called.group(1) if called else ""
        return name not in TALK and not re.search("^sched_point$|ASSERT(_\\w+)?$", name)

    def plain_store(self, cursor):
        """
        (the variable or member that a statement changes, all names in it), or None if the statement
        may have other effects.  It has none if it has no call, no pointer except to a structure,
        nothing volatile and no union.
        """
        children = list(cursor.get_children())
        text = self.of(self.whole(cursor))
        store = re.fullmatch(r"[\w.>-]+\s*(\+\+|--|[-+|&]?=[^=].*)", text, re.DOTALL)
        if cursor.kind not in STORES or not store:
            return None
        plain = all(self.is_plain(p) for c in children for p in c.walk_preorder())
        if not plain or re.search(r"\+\+|--|[^=!<>]=[^=]", text.partition("=")[2]):
            return None
        return children[0].spelling, set(re.findall(r"\w+", text))

    @staticmethod
    def is_plain(part):
        if part.kind == K.MEMBER_REF_EXPR and part.referenced.semantic_parent.kind == K.UNION_DECL:
            return False
        if part.kind == K.UNARY_OPERATOR:
            first = next(part.get_tokens(), None)
            if not first or first.spelling == "*":
                return False
        return part.kind in PLAIN and not part.type.is_volatile_qualified()

    def in_any_order(self, before, after):
        """May the statements swap places?  Yes for two independent plain stores, or if one
        statement only counts an event."""
        if any(re.match(r"MM_EVENT\(", self.of(self.whole(s))) for s in (before, after)):
            return True
        a, b = self.plain_store(before), self.plain_store(after)
        return a and b and a[0] not in b[1] and b[0] not in a[1]

    def statements(self, children, top):
        before = last = None
        for i, child in enumerate(children):
            if not self.is_statement(child):
                before = None
                continue
            span = self.leave_out(child)
            leaves = child.kind in (K.BREAK_STMT, K.CONTINUE_STMT)
            differs = before and self.of(before) != self.of(span)
            if differs and not leaves and not self.in_any_order(last, child):
                self.add("swap", (*before, self.of(span)), (*span, self.of(before)))
            before, last = span, child
            if top and i and self.early():
                self.add("return-early", (span[0], span[0], self.early() + " "))

    def leave_out(self, statement):
        span = self.whole(statement)
        called = re.match(r"(\w+)\(", self.of(span))
        name = called.group(1) if called else ""
        kind = "lock" if LOCKS.match(name) else "undo" if UNDO.search(name) else "delete"
        self.add("barrier" if name == "full_barrier" else kind, (*span, ""))
        return span

    def early(self):
        return RETURNS.get(self.result, "return 0;")

    def condition(self, cursor, children):
        for branch in children[1:] if cursor.kind == K.IF_STMT else children[-1:]:
            if self.is_statement(branch):
                self.leave_out(branch)
        if cursor.kind == K.FOR_STMT:
            return
        span = self.whole(children[0])
        if not span or self.of(span).strip() in ("0", "1", "true"):
            return
        text = self.of(span)
        if cursor.kind == K.IF_STMT:
            self.add("negate", (*span, f"!({text})"))
            self.add("condition", (*span, f"1 || ({text})"))
        # Leave assertions out: 0 && in one changes nothing if the code keeps the invariant.
        if not (cursor.kind == K.IF_STMT and self.only_panics(children[1])):
            self.add("condition", (*span, f"0 && ({text})"))

    def only_panics(self, branch):
        span = self.whole(branch)
        return bool(span) and re.match(r"\{?\s*panic(_\w+)?\(", self.of(span)) is not None

    def returned(self, cursor, value):
        span = self.whole(value)
        if not span:
            return
        text = self.of(span)
        if re.fullmatch(r"-E[A-Z]+", text):
            self.add("return", (*span, "0"))
        elif self.result == cindex.TypeKind.BOOL:
            self.add("return", (*span, f"!({text})"))
        elif text == "0" and self.result == cindex.TypeKind.INT:
            self.add("return", (*span, "-22"))

    def lock_pairs(self, body):
        """For each lock, add an edit that removes all calls in the function that take or release
        it."""
        pairs = {}
        for call in body.walk_preorder():
            if call.kind != K.CALL_EXPR:
                continue
            span = self.whole(call)
            inside = span and re.match(r"(\w+)\(([^,]*?)\)?(,.*)?$", self.of(span), re.DOTALL)
            if not inside or not LOCKS.match(inside.group(1)) or "try" in inside.group(1):
                continue
            name, family = inside.group(1), inside.group(1).split("_")[0]
            first = "" if family in ("arch", "preempt") else inside.group(2).strip(" )")
            without = {"spin_lock_irqsave": "arch_irq_save()", "arch_irq_save": "0"}
            new = without.get(name, "(void)0")
            if name == "spin_unlock_irqrestore" and inside.group(3):
                new = f"arch_irq_restore({inside.group(3).strip(' ,)')})"
            pairs.setdefault((family, first), []).append((*span, new))
        for edits in pairs.values():
            if len(edits) > 1:
                self.add("lock-pair", *edits)

    # ---- expressions ----

    def binary(self, cursor, left, right):
        a, b = self.inner(left), self.inner(right)
        if not a or not b or a[1] > b[0]:
            return
        between = self.of((a[1], b[0]))
        op = between.strip()
        at = a[1] + between.index(op) if op else 0
        if op in RELATIONS:
            self.add("relation", (at, at + len(op), RELATIONS[op]))
        elif op in ("&&", "||"):
            self.add("condition", (a[0], b[1], self.of(a)))
            self.add("condition", (a[0], b[1], self.of(b)))
        elif op in ("+", "-"):
            kind = "off-by-one" if self.of(b) == "1" else "arithmetic"
            self.add(kind, (at, at + 1, "-" if op == "+" else "+"))
            if self.of(b) == "1":
                self.add("off-by-one", (a[1], b[1], ""))
        elif op == "|" and re.fullmatch(r"[A-Z][A-Z0-9_]+", self.of(b)):
            self.add("flag", (a[1], b[1], ""))
        elif op == "&" and self.of(b).startswith("~"):
            self.add("flag", (a[1], b[1], ""))

    def literal(self, cursor):
        span = self.inner(cursor)
        if span and re.fullmatch(r"[1-9]\d{0,4}[uUlL]*", self.of(span)):
            digits = re.match(r"\d+", self.of(span)).group(0)
            self.add("off-by-one", (*span, self.of(span).replace(digits, str(int(digits) + 1), 1)))

    def arguments(self, call):
        args = list(call.get_arguments())
        for x, y in zip(args, args[1:]):
            a, b = self.inner(x), self.inner(y)
            if not a or not b or a[1] > b[0] or self.of((a[1], b[0])).strip() != ",":
                continue
            alike = x.type.get_canonical().spelling == y.type.get_canonical().spelling
            matters = x is not args[0] or call.spelling not in EVEN_HANDED
            if alike and matters and self.of(a) != self.of(b):
                self.add("arguments", (*a, self.of(b)), (*b, self.of(a)))

    def weaken(self, cursor):
        """Add an edit that makes an atomic operation two steps, or removes its ordering."""
        span = self.whole(cursor) if cursor.kind.is_expression() else None
        name = r"(atomic_add|atomic_sub|atomic_or|atomic_and|store_release|load_acquire)\("
        found = span and re.match(name, self.of(span))
        if not found or not self.of(span).endswith(")"):
            return
        inside, name = self.of(span)[len(found.group(0)) : -1], found.group(1)
        if name == "load_acquire":
            new = f"READ_ONCE(*({inside}))"
        elif "," not in inside:
            return
        else:
            target, value = inside.split(",", 1)
            if target.count("(") != target.count(")"):
                return
            new = (
                f"WRITE_ONCE(*({target}),{value})"
                if name == "store_release"
                else f"({{ __typeof__(*({target})) old_ = READ_ONCE(*({target})); "
                f"WRITE_ONCE(*({target}), (__typeof__(old_))(old_ {WEAKER[name]} ({value}))); "
                f"old_; }})"
            )
        site = ((*span, new),)
        if not any(s.edits == site for s in self.found):
            self.add("atomic", *site)


def sites(root, path, flags, wanted):
    """All sites in @path, and in its included headers for which wanted() is true."""
    here = os.getcwd()
    os.chdir(root)
    try:
        unit = cindex.Index.create().parse(path, args=flags)
        finders = {}
        for cursor in unit.cursor.get_children():
            function = cursor.kind == K.FUNCTION_DECL and cursor.is_definition()
            if not function or not cursor.location.file:
                continue
            name = cursor.location.file.name
            if name != path and not wanted(os.path.normpath(name)):
                continue
            if name not in finders:
                with open(name, "rb") as f:
                    finders[name] = Finder(name, f.read())
            finders[name].visit_function(cursor)
        bad = [d for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
        if bad:
            raise ValueError(f"{path}: {bad[0].spelling}")
        return [site for finder in finders.values() for site in finder.found]
    finally:
        os.chdir(here)
