# Completions of regatta for fish: regatta completions fish | source
function __regatta_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path "$current"
        return
    end
    printf '%s\n' $found
end
complete -c regatta -f -a '(__regatta_complete)'
