"""Completion scripts for bash, zsh and fish, all from one tree (see `completions`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cascade_tui.completions import Flag, Node, Value


def script(shell: str, tree: list[Node], keys: Mapping[str, tuple[str, ...]]) -> str:
    """The completion script for bash, zsh or fish."""
    if shell == "fish":
        return _fish(tree, keys)
    front, last = {"bash": (_BASH_FRONT, ""), "zsh": (_ZSH_FRONT, _ZSH_LAST)}[shell]
    first, tables = "", _tables(tree, keys)
    if shell == "zsh":
        first = "#compdef cascade-tui\n"
        tables += _zsh_summaries(tree)
    return f"{first}# Made by `cascade-tui completions {shell}`.\n{tables}{front}{last}"


# -- bash and zsh: the same tables as POSIX functions ---------------------------------------------


def _tables(tree: list[Node], keys: Mapping[str, tuple[str, ...]]) -> str:
    flags = {node.path: " ".join(node.flag_names) for node in tree}
    children = {node.path: " ".join(name for name, _ in node.children) for node in tree}
    of_flag = {
        f"{node.path} {name}": str(flag.value)
        for node in tree
        for flag in node.flags
        if flag.value is not None
        for name in flag.names
    }
    of_argument: dict[str, str] = {}
    for node in tree:
        for index, value in enumerate(node.positionals):
            of_argument[f"{node.path} {index}"] = str(value)
    last = {
        f"{node.path} ": str(node.positionals[-1]) for node in tree if node.positionals
    }  # an argument that may be repeated is the last one
    parts = [
        _function("flags", '"$1"', flags),
        _function("commands", '"$1"', children),
        _function("of_flag", '"$1 $2"', of_flag),
        _function("of_argument", '"$1 $2"', of_argument, last),
        f"_cascade_tui_keys() {{ echo {_quoted(' '.join(keys))}; }}\n",
        _function("of_key", '"$1"', {key: " ".join(values) for key, values in keys.items()}),
    ]
    return "".join(parts)


def _function(
    name: str, subject: str, answers: Mapping[str, str], by_start: Mapping[str, str] | None = None
) -> str:
    """A function that echoes the answer for its arguments, or nothing."""
    lines = [f"_cascade_tui_{name}() {{", f"    case {subject} in"]
    for key, answer in answers.items():
        if answer:
            lines.append(f"    {_quoted(key)}) echo {_quoted(answer)} ;;")
    for key, answer in (by_start or {}).items():
        lines.append(f"    {_quoted(key)}[0-9]*) echo {_quoted(answer)} ;;")
    return "\n".join([*lines, "    esac", "}\n"])


def _zsh_summaries(tree: list[Node]) -> str:
    """A function that fills `found` with the commands that may follow, each with its help."""
    lines = ["_cascade_tui_described() {", '    case "$1" in']
    for node in tree:
        told = (f"{name}:{_short(text)}" for name, text in node.children)
        if items := " ".join(map(_quoted, told)):
            lines.append(f"    {_quoted(node.path)}) found=({items}) ;;")
    return "\n".join([*lines, "    esac", "}\n"])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


_BASH_FRONT = r"""
_cascade_tui_runs() (
    shopt -s nullglob
    for found in "$1"*/status.json "$1"*/*/status.json "$1"*/*/*/status.json; do
        printf '%s\n' "${found%/status.json}"
    done
)
_cascade_tui_offer() {  # the kind of value with its words, the word so far
    local kind="${1%% *}" cur="$2"
    case "$kind" in
    words) COMPREPLY=($(compgen -W "${1#words }" -- "$cur")) ;;
    keys)
        local keys="${1#keys}"
        COMPREPLY=($(compgen -S = -W "${keys:-$(_cascade_tui_keys)}" -- "$cur"))
        compopt -o nospace ;;
    nothing) COMPREPLY=() ;;
    *)
        local IFS=$'\n'
        compopt -o filenames
        case "$kind" in
        configs)
            COMPREPLY=($(compgen -f -X '!*.toml' -- "$cur"; compgen -f -X '!*.json' -- "$cur"
                compgen -d -- "$cur")) ;;
        runs)
            COMPREPLY=($(_cascade_tui_runs "$cur"))
            [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -d -- "$cur")) ;;
        folders) COMPREPLY=($(compgen -d -- "$cur")) ;;
        files) COMPREPLY=($(compgen -f -- "$cur")) ;;
        esac ;;
    esac
}
_cascade_tui() {
    local cur="${COMP_WORDS[COMP_CWORD]}" path='' flag='' key='' word i position=0
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        if [ "$word" = = ]; then  # bash splits words there
            [ -z "$key" ] || key="$key="
            continue
        fi
        case "$key" in *=) key=''; flag=''; continue ;; esac
        key=''
        if [ -n "$flag" ] && [ "$(_cascade_tui_of_flag "$path" "$flag")" = keys ]; then
            [ "${COMP_WORDS[i+1]}" = = ] && key="$word" || flag=''
            continue
        fi
        if [ -n "$flag" ]; then flag=''; continue; fi
        case "$word" in
        -*) [ -z "$(_cascade_tui_of_flag "$path" "$word")" ] || flag="$word" ;;
        *)
            case " $(_cascade_tui_commands "$path") " in
            *" $word "*) path="${path:+$path }$word" ;;
            *) position=$((position + 1)) ;;
            esac ;;
        esac
    done
    [ "$cur" != = ] || { cur=''; [ -z "$key" ] || key="$key="; }
    case "$key" in
    *=) COMPREPLY=($(compgen -W "$(_cascade_tui_of_key "${key%=}")" -- "$cur")); return ;;
    esac
    if [ -n "$flag" ]; then
        _cascade_tui_offer "$(_cascade_tui_of_flag "$path" "$flag")" "$cur"
        return
    fi
    case "$cur" in
    -*) COMPREPLY=($(compgen -W "$(_cascade_tui_flags "$path")" -- "$cur")); return ;;
    esac
    word="$(_cascade_tui_of_argument "$path" "$position")"
    [ -z "$word" ] || _cascade_tui_offer "$word" "$cur"
    [ "$position" -gt 0 ] ||
        COMPREPLY+=($(compgen -W "$(_cascade_tui_commands "$path")" -- "$cur"))
}
complete -F _cascade_tui cascade-tui
"""

_ZSH_FRONT = r"""
_cascade_tui_offer() {  # the kind of value with its words
    local -a found
    local word
    case $1 in
    words\ *) found=(${=1#words }); compadd -a found ;;
    keys*)
        if compset -P 1 '*='; then
            found=(${=$(_cascade_tui_of_key ${${IPREFIX%=}##*=})})
            compadd -a found
        else
            found=(${=1#keys})
            (( $#found )) || found=(${=$(_cascade_tui_keys)})
            compadd -q -S = -a found
        fi ;;
    nothing) _message 'a value' ;;
    configs) _files -g '*.(toml|json)' ;;
    runs)
        word=${(Q)PREFIX}
        found=($word*/status.json(N:h) $word*/*/status.json(N:h) $word*/*/*/status.json(N:h))
        (( $#found )) && compadd -f -a found || _files -/ ;;
    folders) _files -/ ;;
    files) _files ;;
    esac
}
_cascade_tui() {
    local path_words='' flag='' word value
    local -i i position=0
    local -a found
    for (( i = 2; i < CURRENT; i++ )); do
        word=${words[i]}
        if [[ -n $flag ]]; then
            flag=''
            continue
        fi
        case $word in
        -*=*) ;;
        -*) [[ -n $(_cascade_tui_of_flag "$path_words" "$word") ]] && flag=$word ;;
        *)
            if [[ " $(_cascade_tui_commands "$path_words") " == *" $word "* ]]; then
                path_words="${path_words:+$path_words }$word"
            else
                position+=1
            fi ;;
        esac
    done
    if [[ -n $flag ]]; then
        _cascade_tui_offer "$(_cascade_tui_of_flag "$path_words" "$flag")"
        return
    fi
    if [[ ${words[CURRENT]} == --*=* ]]; then
        flag=${words[CURRENT]%%=*}
        compset -P 1 '*='
        _cascade_tui_offer "$(_cascade_tui_of_flag "$path_words" "$flag")"
        return
    fi
    if [[ ${words[CURRENT]} == -* ]]; then
        found=(${=$(_cascade_tui_flags "$path_words")})
        compadd -a found
        return
    fi
    if (( position == 0 )); then
        _cascade_tui_described "$path_words"
        (( $#found )) && _describe -t commands command found
    fi
    value=$(_cascade_tui_of_argument "$path_words" "$position")
    [[ -n $value ]] && _cascade_tui_offer "$value"
}
"""

# Found in $fpath the file is the function's body; sourced from .zshrc it has to register it.
_ZSH_LAST = r"""if [[ $funcstack[1] == _cascade-tui ]]; then
    _cascade_tui "$@"
elif (( $+functions[compdef] )); then
    compdef _cascade_tui cascade-tui
fi
"""


# -- fish -----------------------------------------------------------------------------------------

_FISH_FRONT = r"""
function __cascade_tui_at --argument-names wanted
    # Whether the words so far are the command `wanted` (empty: none yet).
    set -l path
    set -l skip 0
    set -l tokens (commandline -opc)
    for word in $tokens[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        if string match -q -- '-*' $word
            contains -- "$path $word" $__cascade_tui_with_value; and set skip 1
        else if contains -- (string trim -- "$path $word") $__cascade_tui_paths
            set path (string trim -- "$path $word")
        end
    end
    test "$path" = "$wanted"
end
function __cascade_tui_configs
    # From fish 3.2 on a suffix only puts its files first: the others are left out here.
    begin
        __fish_complete_suffix .toml
        __fish_complete_suffix .json
    end | string match -r '^[^\t]*(?:/|\.toml|\.json)(?:\t.*)?$'
end
function __cascade_tui_runs
    for found in */status.json */*/status.json */*/*/status.json
        string replace -r 'status.json$' '' -- $found  # as folders are completed: not twice
    end
    __fish_complete_directories
end
"""
_FISH_VALUES = {
    "configs": " -f -a '(__cascade_tui_configs)'",
    "runs": " -f -a '(__cascade_tui_runs)'",
    "folders": " -f -a '(__fish_complete_directories)'",
    "files": " -F",
    "keys": " -f -a '$__cascade_tui_keys'",
    "nothing": " -f",
}


def _fish(tree: list[Node], keys: Mapping[str, tuple[str, ...]]) -> str:
    paths = [node.path for node in tree if node.path]
    with_value = [
        f"{node.path} {name}"
        for node in tree
        for flag in node.flags
        if flag.value is not None
        for name in flag.names
    ]
    offered = [f"{key}={value}\t" for key, values in keys.items() for value in values or ("",)]
    lines = [
        "# Made by `cascade-tui completions fish`.",
        f"set -g __cascade_tui_paths {_listed(paths)}",
        f"set -g __cascade_tui_with_value {_listed(with_value)}",
        f"set -g __cascade_tui_keys {_listed(offered)}",
        _FISH_FRONT.strip("\n"),
        "complete -c cascade-tui -f",
    ]
    for node in tree:
        condition = _fish_quoted(f"__cascade_tui_at {_fish_quoted(node.path)}")
        start = f"complete -c cascade-tui -n {condition}"
        lines += [
            f"{start} -f -a {name} -d {_fish_quoted(_short(text))}" for name, text in node.children
        ]
        for value in dict.fromkeys(node.positionals):
            lines.append(start + _fish_value(value))
        lines += [start + _fish_flag(flag) for flag in node.flags]
    return "\n".join(lines) + "\n"


def _fish_flag(flag: Flag) -> str:
    spelt = "".join(
        f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in flag.names
    )
    needs = "" if flag.value is None else f" -r{_fish_value(flag.value)}"
    return f"{spelt}{needs} -d {_fish_quoted(_short(flag.help))}"


def _fish_value(value: Value) -> str:
    words = value.words
    if value.kind == "keys":
        words = tuple(f"{word}=" for word in words)
    if words:  # with no description of their own they would get the option's
        return " -f -a " + _fish_quoted(" ".join(f"{word}\\t''" for word in words))
    return _FISH_VALUES[value.kind]


def _listed(words: list[str]) -> str:
    return " ".join(map(_fish_quoted, words))


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _short(text: str) -> str:
    return re.split(r";|\. ", text, maxsplit=1)[0]
