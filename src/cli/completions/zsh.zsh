#compdef regatta
# Completions of regatta for zsh: source <(regatta completions zsh)
_regatta() {
    local line word help
    local -a names shown
    while IFS= read -r line; do
        word=${line%%$'\t'*}
        if [[ $word == :files ]]; then
            _files
            return
        fi
        help=${line#*$'\t'}
        names+=("$word")
        if [[ -n $help && $help != "$line" ]]; then
            shown+=("$word  -- $help")
        else
            shown+=("$word")
        fi
    done < <("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    compadd -l -d shown -- "${names[@]}"
}
# As a file of $fpath it is the function's own first call; sourced, it says what it is for.
if [[ ${funcstack[1]} == _regatta ]]; then
    _regatta "$@"
else
    compdef _regatta regatta
fi
