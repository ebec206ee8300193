//! What the command line says without a daemon: help, versions, completions, manual pages.

use std::fs;
use std::process::Command;

use crate::support::cli::{Said, lxcproxy, said};
use crate::support::daemon::{Daemon, LXCPROXY, PATIENCE};

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(lxcproxy(&["--version"]), Said::well(&format!("lxcproxy {}\n", env!("CARGO_PKG_VERSION"))));
    let client = format!("Client Version: v{}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(lxcproxy(&["version", "--client"]), Said::well(&client));
    let alone = lxcproxy(&["version", "--admin", "/nonexistent/admin.sock"]);
    assert_eq!((alone.code, alone.out.as_str()), (0, client.as_str()));
    assert!(alone.err.starts_with("warning: no daemon answers on /nonexistent/admin.sock: "), "{}", alone.err);
    let daemon = Daemon::builder().start();
    let both = format!("{client}Daemon Version: v{}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(said(&mut daemon.cli(&["version"])), Said::well(&both));
}

#[test]
fn the_help_of_every_subcommand_has_an_example_that_is_understood() {
    let help = lxcproxy(&["--help"]);
    let commands: Vec<_> = help.out.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty()).collect();
    // A line that is indented further goes on with the one above.
    let commands = commands.iter().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let commands: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    for expected in ["run", "validate", "schema", "get", "describe", "events", "wait", "demo", "completion", "man", "version"] {
        assert!(commands.contains(&expected), "{expected}: {commands:?}");
    }
    for command in commands {
        let help = lxcproxy(&[command, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{command}");
        let examples = help.out.split_once("\nExample").map(|(_, examples)| examples.lines().skip(1).map(str::trim)).into_iter().flatten();
        let examples: Vec<_> = examples.filter(|line| !line.is_empty()).collect();
        assert!(!examples.is_empty(), "{command}");
        for example in examples {
            understood(example, command);
        }
    }
    assert_eq!(lxcproxy(&[]).code, 2, "nothing to do is a mistake");
}

/// `--help` at its end stops a command from doing what it says, but not from being parsed.
fn understood(example: &str, command: &str) {
    let words: Vec<_> = example.split(" > ").next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(words[..2], ["lxcproxy", command], "{example}");
    let parsed = lxcproxy(&[&words[1..], &["--help"]].concat());
    assert_eq!((parsed.code, parsed.err.as_str()), (0, ""), "{example}");
}

#[test]
fn the_help_ends_with_what_whoever_has_a_problem_needs() {
    let help = lxcproxy(&["--help"]).out;
    let last = help.split("\n\n").last().unwrap();
    assert!(last.starts_with("Troubleshooting:\n"), "{last}");
    for command in ["lxcproxy get apps", "lxcproxy describe app/NAME", "lxcproxy events"] {
        assert!(last.contains(command), "{last}");
    }
}

#[test]
fn bash_completes_subcommands_options_and_the_names_of_what_there_is() {
    let script = lxcproxy(&["completion", "bash"]);
    assert_eq!((script.code, script.err.as_str()), (0, ""));
    // A file whose name is a command for the shell, as somebody might drop one in.
    let daemon = Daemon::builder()
        .manifest("$(touch owned).yaml", "oops")
        .manifest("good.yaml", &super::get::site("good", "good.example.org"))
        .start();
    daemon.eventually(PATIENCE, || if daemon.apps().len() == 2 { Ok(()) } else { Err("not all there".to_owned()) });
    let directory = super::directory(&[("completion.bash", &script.out)]);
    let program = std::path::Path::new(LXCPROXY).parent().unwrap();
    let complete = |words: &[&str]| {
        let ask = format!(
            "source completion.bash; COMP_WORDS=({}); COMP_CWORD={}; COMPREPLY=(); _lxcproxy_and_names lxcproxy \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1
        );
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.args(["-c", &ask]).current_dir(directory.path()).env("PATH", path).env("LXCPROXY_ADMIN", daemon.admin());
        let said = said(&mut bash);
        assert_eq!(said.err, "", "{words:?}");
        said.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["lxcproxy", "desc"]), ["describe"]);
    assert!(complete(&["lxcproxy", "get", "--no-h"]).contains(&"--no-headers".to_owned()));
    assert!(complete(&["lxcproxy", "describe", "app/g"]).contains(&"app/good".to_owned()));
    assert!(complete(&["lxcproxy", "get", "apps", "g"]).contains(&"good".to_owned()));
    assert_eq!(complete(&["lxcproxy", "events", "--for", "app/"]), ["app/good"]);
    assert!(complete(&["lxcproxy", "wait", "app/"]).iter().all(|name| !name.contains('$')));
    assert!(!directory.path().join("owned").exists());
}

#[test]
fn every_shell_that_is_offered_has_a_script() {
    for shell in ["bash", "zsh", "fish"] {
        let script = lxcproxy(&["completion", shell]);
        assert!(script.code == 0 && script.err.is_empty() && script.out.contains("lxcproxy"), "{shell}");
    }
    assert_eq!(lxcproxy(&["completion", "tcsh"]).code, 2);
}

#[test]
fn the_manual_is_one_page_or_one_for_every_subcommand() {
    let page = lxcproxy(&["man"]);
    assert!(page.code == 0 && page.out.contains(".TH lxcproxy 1") && page.out.contains("Troubleshooting:"), "{}", page.out);
    let directory = super::directory(&[]);
    let place = directory.path().join("share/man/man1");
    assert_eq!(lxcproxy(&["man", place.to_str().unwrap()]), Said::well(""));
    let mut pages: Vec<_> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    pages.sort();
    for page in ["lxcproxy.1", "lxcproxy-get.1", "lxcproxy-run.1", "lxcproxy-wait.1"] {
        assert!(pages.contains(&page.to_owned()), "{pages:?}");
    }
    let get = fs::read_to_string(place.join("lxcproxy-get.1")).unwrap();
    assert!(get.contains("lxcproxy get apps ttrss") || get.contains("lxcproxy get apps"), "{get}");
    let taken = directory.path().join("file");
    fs::write(&taken, "").unwrap();
    assert_eq!(lxcproxy(&["man", taken.to_str().unwrap()]).code, 1);
}
