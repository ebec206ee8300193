//! README and docs: what they show is what the program does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::cli::{Said, lxcproxy, lxcproxy_in, repository, said};
use crate::support::daemon::{Daemon, PATIENCE};

/// A fenced block.
#[derive(Debug)]
struct Block {
    /// `README.md:12`, for messages.
    place: String,
    /// What stands behind the fence.
    language: String,
    text: String,
}

/// README and docs, as `(path, text)`.
fn documents() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(repository().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain([repository().join("README.md")])
        .map(read)
        .collect()
}

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).unwrap()
}

fn blocks(path: &Path, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let place = format!("{}:{}", path.file_name().unwrap().display(), number + 1);
                open = Some(Block { place, language: language.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block is not closed", path.display());
    blocks
}

/// The first whole manifest of the README.
fn smallest() -> String {
    let blocks = blocks(Path::new("README.md"), &readme());
    blocks.into_iter().find(|block| block.language == "yaml").unwrap().text
}

/// A part of a manifest -> whole ones with that part in its place; a block with alternatives gives one for each.
fn whole(text: &str) -> Vec<String> {
    let head = "apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {name: part}\nspec:\n";
    let indented = |text: &str, by: &str| text.lines().flat_map(|line| [by, line, "\n"]).collect::<String>();
    match text.split(':').next().unwrap_or_default() {
        "container" => text.lines().map(|line| format!("{head}{}  rules: [{{}}]\n", indented(line, "  "))).collect(),
        "matches" | "filters" => vec![format!("{head}  rules:\n  - name: part\n{}", indented(text, "    "))],
        _ => vec![text.to_owned()],
    }
}

#[test]
fn every_manifest_and_every_part_of_one_is_valid() {
    let mut count = 0;
    for (path, text) in documents() {
        for block in blocks(&path, &text).into_iter().filter(|block| block.language == "yaml") {
            for manifest in whole(&block.text) {
                let dir = crate::support::scratch();
                fs::write(dir.path().join("shown.yaml"), &manifest).unwrap();
                let said = lxcproxy_in(dir.path(), &["validate", "shown.yaml"]);
                assert_eq!(said, Said::well("1 manifest valid\n"), "{}\n{manifest}", block.place);
                count += 1;
            }
        }
    }
    assert!(count >= 8, "{count} manifests were found");
}

#[test]
fn the_mistake_of_the_readme_is_answered_as_shown() {
    let manifest = smallest();
    assert!(manifest.contains("\n  hostnames:"), "{manifest}");
    let daemon = Daemon::builder().manifest("hello.yaml", &manifest).start();
    daemon.eventually(PATIENCE, || daemon.apps().contains_key("hello").then_some(()).ok_or_else(|| "no App yet".to_owned()));
    daemon.manifest("hello.yaml", &manifest.replace("hostnames:", "hostname:"));
    daemon.wait_reason("hello", "Accepted", "Invalid", PATIENCE);
    let mut shown = 0;
    for block in blocks(Path::new("README.md"), &readme()).iter().filter(|block| block.language == "console") {
        let (command, expected) = block.text.split_once('\n').unwrap();
        let got = match command {
            "$ lxcproxy validate hello.yaml" => lxcproxy_in(&daemon.manifests(), &["validate", "hello.yaml"]).err,
            "$ lxcproxy get apps" => said(&mut daemon.cli(&["get", "apps"])).out,
            other => panic!("{}: no test knows `{other}`", block.place),
        };
        assert_eq!(ageless(&got), ageless(expected), "{}", block.place);
        shown += 1;
    }
    assert_eq!(shown, 2);
}

/// A table's cells but for the age, which moves; other text as it is.
fn ageless(text: &str) -> String {
    let Some(age) = text.lines().next().and_then(|header| header.split_whitespace().position(|cell| cell == "AGE")) else {
        return text.to_owned();
    };
    let row = |line: &str| {
        let mut cells: Vec<_> = line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        cells.remove(age);
        cells.join("|")
    };
    text.lines().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_readme_says_what_it_is_in_two_sentences_then_how_to_try_it() {
    let text = readme();
    let first = text.split("\n\n").nth(1).unwrap().replace('\n', " ");
    let sentences = format!("{first} ").matches(". ").count();
    assert_eq!(sentences, 2, "{first}");
    let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings, ["Try it", "The smallest manifest", "When it is wrong", "How it compares", "How it is built", "Licence"]);
    let commands = &blocks(Path::new("README.md"), &text)[0];
    let words: Vec<_> = commands.text.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(words, ["cargo run --release -- demo", "tests/run"]);
    assert!(repository().join("tests/run").is_file());
}

#[test]
fn links_lead_to_files_that_are_there() {
    for (path, text) in documents() {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            assert!(path.parent().unwrap().join(target).exists(), "{}: {target}", path.display());
        }
    }
}

/// The lines of the shell blocks that start with this program, as words.
fn commands(program: &str) -> Vec<(String, String)> {
    let shell = |(path, text): (PathBuf, String)| blocks(&path, &text).into_iter().filter(|block| block.language == "sh");
    let lines = documents().into_iter().flat_map(shell);
    let lines = lines.flat_map(|block| block.text.lines().map(|line| (block.place.clone(), line.to_owned())).collect::<Vec<_>>());
    lines.filter(|(_, line)| line.starts_with(program)).collect()
}

#[test]
fn every_command_of_the_docs_is_understood() {
    let commands = commands("lxcproxy ");
    assert!(commands.len() >= 6, "{commands:?}");
    for (place, line) in commands {
        let words: Vec<_> = line.split(['#', '>']).next().unwrap().split_whitespace().skip(1).collect();
        let parsed = lxcproxy(&[&words[..], &["--help"]].concat());
        assert_eq!((parsed.code, parsed.err.as_str()), (0, ""), "{place}: {line}");
    }
}

#[test]
fn every_question_of_the_docs_is_answered_by_the_admin_socket() {
    let daemon = Daemon::builder().manifest("hello.yaml", &smallest()).start();
    let commands = commands("curl ");
    assert_eq!(commands.len(), 3);
    for (place, line) in commands {
        let question = line.replace("/run/lxcproxy/admin.sock", daemon.admin().to_str().unwrap());
        // A watch has no end of its own.
        let script = format!("{question} --silent --fail --max-time 2; [[ $? == 0 || $? == 28 ]]");
        let answer = said(Command::new("bash").args(["-c", &script]));
        assert_eq!(answer.code, 0, "{place}: {answer:?}");
        assert!(answer.out.contains("lxcproxy"), "{place}: {answer:?}");
    }
}

#[test]
fn the_table_of_settings_is_that_of_the_help() {
    let help = lxcproxy(&["run", "--help"]).out;
    let operations = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let rows = operations.lines().filter(|line| line.starts_with("| `--"));
    let mut flags = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.replace("\\|", "/").split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let (flag, variable, default) = (cells[1].split(' ').next().unwrap(), &cells[2], &cells[3]);
        let section = help.split("\n      --").find(|section| format!("--{section}").split_whitespace().next() == Some(flag));
        let section = section.unwrap_or_else(|| panic!("there is no {flag}"));
        assert!(section.contains(&format!("[env: {variable}=]")), "{flag}: {section}");
        if let Some((_, shown)) = section.split_once("[default: ") {
            assert_eq!(shown.split(']').next(), Some(default.as_str()), "{flag}");
        }
        flags.push(flag.to_owned());
    }
    let all: Vec<_> = help
        .lines()
        .filter_map(|line| line.strip_prefix("      --"))
        .map(|line| format!("--{}", line.split(' ').next().unwrap()))
        .collect();
    assert_eq!(flags, all);
}
