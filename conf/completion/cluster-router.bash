# SPDX-License-Identifier: MIT
# Completion for clusterctl, cluster-routerd and cluster-agent. Words and options are those that --help shows,
# so there is no second list of them; no server is asked.

# The lines "  clusterctl NOUN [VERB]" of the help of all, as "NOUN VERB".
_clusterctl_commands()
{
        "$1" --help 2>/dev/null | sed -nE 's/^  clusterctl ([a-z]+)( ([a-z]+))?.*/\1 \3/p'
}

# Options stand at the beginning of their lines, with and without a short form.
_cluster_router_options()
{
        "$@" --help 2>/dev/null | grep -oE '^ +(-[a-zA-Z], *)?--[a-z-]+' | grep -oE -- '--[a-z-]+'
}

# What stands before the cursor, without options and their values: the noun and the verb.
_clusterctl_words()
{
        local index word
        for ((index = 1; index < COMP_CWORD; index++)); do
                word=${COMP_WORDS[index]}
                case $word in
                -c | -o | --config | --output) ((index++)) ;;
                -* | =) ;;
                *) printf '%s\n' "$word" ;;
                esac
        done
}

_cluster_router_reply()
{
        mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_clusterctl()
{
        local program=$1 current=$2 previous=$3 words commands
        COMPREPLY=()
        mapfile -t words < <(_clusterctl_words)
        case $previous in
        -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        -o | --output) _cluster_router_reply "table json" "$current"; return ;;
        esac
        if [[ $current == -* ]]; then
                _cluster_router_reply "$(_cluster_router_options "$program" "${words[@]:0:2}" | sort -u)" "$current"
                return
        fi
        commands=$(_clusterctl_commands "$program")
        if ((${#words[@]} == 0)); then
                _cluster_router_reply "$(cut -d' ' -f1 <<<"$commands" | sort -u)" "$current"
        elif ((${#words[@]} == 1)) && grep -qE "^${words[0]} [a-z]" <<<"$commands"; then
                _cluster_router_reply "$(sed -n "s/^${words[0]} //p" <<<"$commands")" "$current"
        else
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
        fi
}

_cluster_router_daemon()
{
        COMPREPLY=()
        if [[ $2 == -* ]]; then
                _cluster_router_reply "$(_cluster_router_options "$1")" "$2"
        else
                mapfile -t COMPREPLY < <(compgen -f -- "$2")
        fi
}

complete -o filenames -F _clusterctl clusterctl
complete -o filenames -F _cluster_router_daemon cluster-routerd cluster-agent
