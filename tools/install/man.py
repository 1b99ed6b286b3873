#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""man.py VERSION DXH HEADERS... OUT: the manual pages that have another source.

Section 1 from what `DXH COMMAND --help` prints, section 3 from the headers: one page
a header, under the name of every function in it.
"""
import os
import re
import subprocess
import sys


def roff(line):
    """One line of text, as roff prints it."""
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line[:1] in (".", "'") else line


def verbatim(lines):
    return [".PP", ".nf", *map(roff, lines), ".fi"]


def page(name, section, version, title):
    return [f'.TH {name.upper()} {section} "" "dxhub {version}" "{title}"']


def write(folder, name, section, lines):
    os.makedirs(f"{folder}/man{section}", exist_ok=True)
    with open(f"{folder}/man{section}/{name}.{section}", "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


# ---- section 1 -------------------------------------------------------------------------

def help_of(dxh, *command):
    text = subprocess.run([dxh, *command, "--help"], check=True, capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "HOME": "/"}).stdout
    return re.sub(r" ?\(here: [^)]*\)", "", text).rstrip("\n").split("\n")


def blocks(lines):
    """Runs of lines between empty ones."""
    run = []
    for line in [*lines, ""]:
        if line:
            run.append(line)
        elif run:
            yield run
            run = []


def command_page(version, name, summary, lines):
    out = page(name, 1, version, "dxh")
    out += [".SH NAME", f"{roff(name)} \\- {roff(summary)}", ".SH SYNOPSIS"]
    first, *rest = blocks(lines)
    out += verbatim([re.sub(r"^(usage:|      ) ", "", line) for line in first])
    out.append(".SH DESCRIPTION")
    for block in rest:
        if all(line[0] != " " for line in block) and not re.match(r"[a-z ]+: ", block[0]):
            out += [".PP", *map(roff, block)]
        else:
            out += verbatim(block)
    return out


def commands_of(lines):
    text = "\n".join(lines)
    listed = text[text.index("commands:"):]
    return re.findall(r"^  ([a-z]+) +(.*)$", listed, re.M)


def section_1(version, dxh, folder):
    lines = help_of(dxh)
    commands = commands_of(lines)
    top = command_page(version, "dxh", "exchange data and commands between programs", lines)
    top += [".SH SEE ALSO", ",\n".join(f".BR dxh\\-{name} (1)" for name, _ in commands) + ",",
            ".BR dxh (7)"]
    top[-2] = "\n".join(f".BR dxh\\-{name} (1)," for name, _ in commands)
    write(folder, "dxh", 1, top)
    for name, summary in commands:
        text = command_page(version, f"dxh-{name}", summary, help_of(dxh, name))
        write(folder, f"dxh-{name}", 1, text + [".SH SEE ALSO", ".BR dxh (1)"])


# ---- section 3 -------------------------------------------------------------------------

COMMENT = re.compile(r"/\*.*?\*/", re.S)
DECLARED = re.compile(r"\b(dxh_[a-z0-9_]+)\(")


def comment_text(comment):
    lines = comment[2:-2].split("\n")
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines]
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    lines[0] = lines[0].lstrip()
    return lines


def pieces(source):
    """Comments that stand at the left margin, each with the code that follows it."""
    marks = [found for found in COMMENT.finditer(source)
             if found.start() == 0 or source[found.start() - 1] == "\n"]
    for found, after in zip(marks, [*marks[1:], None]):
        code = source[found.end():after.start() if after else len(source)]
        yield comment_text(found.group()), code


def shown(code):
    """The declarations, without what only the compiler reads."""
    kept = []
    for line in code.split("\n"):
        if re.match(r"#(ifdef|ifndef|endif|include)|extern \"C\"|}$", line):
            continue
        kept.append(re.sub(r"\bDXH_(API|NODISCARD)\b ?", "", line))
    text = re.sub(r"\n{2,}", "\n", "\n".join(kept)).strip("\n")
    return text.split("\n") if text.strip() else []


def header_page(version, path):
    with open(path, encoding="utf-8") as file:
        source = file.read()
    stem = os.path.basename(path)[:-2]
    parts = [part for part in pieces(source) if not part[0][0].startswith("SPDX")]
    (duty, *rest), first_code = parts[0]
    include = path[path.index("include/") + 8:]
    out = page(f"dxh_{stem}", 3, version, "libdxh")
    functions = []
    body = []
    for text, code in parts[1:] if "#define DXH_" in first_code[:80] else parts:
        lines = shown(code)
        if text[0].startswith("----"):
            body.append(f".SS {roff(text[0].strip('- '))}")
            text = []
        functions += [name for name in DECLARED.findall("\n".join(lines))]
        body += verbatim(lines) if lines else []
        body += [".RS 4", *verbatim(text), ".RE"] if text else []
    functions = sorted({name for name in functions if not name.endswith("_fn")})
    names = ", ".join([f"dxh_{stem}"] + functions)
    out += [".SH NAME", f"{roff(names)} \\- {roff(duty.rstrip('.'))}", ".SH SYNOPSIS",
            f".B #include <{include}>", ".PP", "Link with \\fI\\-ldxh\\fP.", ".SH DESCRIPTION"]
    out += verbatim(rest) if rest else []
    out += body + [".SH SEE ALSO", ".BR dxh (7)"]
    return f"dxh_{stem}", functions, out


def section_3(version, headers, folder):
    for path in headers:
        if path.endswith("include/dxh.h"):
            continue
        name, functions, lines = header_page(version, path)
        write(folder, name, 3, lines)
        for function in functions:
            if function != name:
                write(folder, function, 3, [f".so man3/{name}.3"])


def main():
    version, dxh, *headers, folder = sys.argv[1:]
    section_1(version, dxh, folder)
    section_3(version, headers, folder)


if __name__ == "__main__":
    main()
