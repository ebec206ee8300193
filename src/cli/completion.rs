//! `lxcproxy completion`: a shell -> the script that completes command lines, names of objects included.
//!
//! In: the command line's own description. Out: text for `source`. Never: a name in a script that the shell could take for a command.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::generate;

use super::{Cli, print};

/// Print the script that completes command lines in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lxcproxy completion bash > /etc/bash_completion.d/lxcproxy
  lxcproxy completion zsh > /usr/local/share/zsh/site-functions/_lxcproxy
  lxcproxy completion fish > /etc/fish/completions/lxcproxy.fish")]
pub(super) struct Completion {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The names of what there is, as `get` takes them; nothing if no daemon answers. Files may have any name: what a shell would not take for
/// plain text is left out.
const NAMES: &str = r"lxcproxy get all -o name 2>/dev/null | sed -n 's/^\([a-z]*\)\.lxcproxy\.dev\(\/[A-Za-z0-9._-]*\)$/\1\2/p'";

/// Subcommands that take `TYPE/NAME`.
const TAKERS: [&str; 4] = ["delete", "describe", "get", "wait"];

impl Completion {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        print(&self.script())
    }

    fn script(&self) -> String {
        let mut command = Cli::command();
        let mut script = Vec::new();
        match self.shell {
            Shell::Bash => generate(clap_complete::Shell::Bash, &mut command, "lxcproxy", &mut script),
            Shell::Zsh => generate(clap_complete::Shell::Zsh, &mut command, "lxcproxy", &mut script),
            Shell::Fish => generate(clap_complete::Shell::Fish, &mut command, "lxcproxy", &mut script),
        }
        let script = String::from_utf8_lossy(&script);
        let names = match self.shell {
            Shell::Bash => bash(),
            // Its positional arguments are completed by functions of their own; names would have to be put into each.
            Shell::Zsh => String::new(),
            Shell::Fish => fish(),
        };
        format!("{script}{names}")
    }
}

fn bash() -> String {
    let takers = TAKERS.join("|");
    format!(
        r#"
_lxcproxy_and_names() {{
    _lxcproxy "$@"
    local name current="${{COMP_WORDS[COMP_CWORD]}}"
    case "${{COMP_WORDS[1]}}" in
        {takers})
            [[ $COMP_CWORD -gt 1 && $current != -* ]] || return 0
            while IFS= read -r name; do
                if [[ $name == "$current"* ]]; then COMPREPLY+=("$name"); fi
                # Behind a TYPE the name alone.
                if [[ $COMP_CWORD -gt 2 && $name == "${{COMP_WORDS[2]%s}}/$current"* ]]; then COMPREPLY+=("${{name#*/}}"); fi
            done < <({NAMES})
            ;;
        events)
            [[ ${{COMP_WORDS[COMP_CWORD - 1]}} == --for ]] || return 0
            COMPREPLY=()
            while IFS= read -r name; do
                if [[ $name == "$current"* ]]; then COMPREPLY+=("$name"); fi
            done < <({NAMES})
            ;;
    esac
}}
complete -F _lxcproxy_and_names -o nosort -o bashdefault -o default lxcproxy
"#
    )
}

fn fish() -> String {
    let takers = TAKERS.join(" ");
    format!("complete -c lxcproxy -n '__fish_seen_subcommand_from {takers}' -f -a \"({NAMES})\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_knows_every_subcommand() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = Completion { shell }.script();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell:?}: {}", command.get_name());
            }
        }
    }
}
