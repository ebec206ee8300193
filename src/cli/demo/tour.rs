//! Where the demo is -> what to try on it, as commands to paste.
//!
//! In: paths and the address. Out: text. Never: a command that works only sometimes: each waits for what it needs.

use std::net::SocketAddr;
use std::path::Path;

use super::super::shell;
use super::workplace::Workplace;

/// The text that the demo prints.
pub(super) fn text(workplace: &Workplace, program: &Path, listen: SocketAddr) -> String {
    let url = format!("http://{listen}");
    let hello = quote(&workplace.hello());
    let second = quote(&workplace.second());
    let manifests = quote(&workplace.manifests());
    let program = quote(program);
    let admin = format!("--admin {}", quote(&workplace.admin()));
    format!(
        "\
lxcproxy is serving {url}/
from the manifests in {manifests}

Three things to try in another terminal, line by line:

1. Change the manifest. The application moves from /api/ to /v2/; nothing is restarted:
  curl {url}/api/
  sed -i 's#value: /api#value: /v2#' {hello}
  sleep 1; curl {url}/v2/

2. Break the manifest. The site answers as before, and one line says what is wrong:
  echo 'oops: [' >> {hello}
  {program} wait app/hello --for=condition=Accepted=false {admin}
  {program} get apps {admin}
  curl {url}/
Repair it:
  sed -i '/^oops/d' {hello}
  {program} wait app/hello --for=condition=Ready {admin}

3. Drop in a second application. It is on the web as soon as its manifest is there:
  cp {second} {manifests}/
  {program} wait app/second --for=condition=Ready {admin}
  curl {url}/second/

Ctrl-C ends the demo and removes its directory.
"
    )
}

fn quote(path: &Path) -> String {
    shell::quote(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_changes_is_there_to_be_changed() {
        let workplace = Workplace::create().unwrap();
        let manifest = std::fs::read_to_string(workplace.hello()).unwrap();
        assert_eq!(manifest.matches("value: /api").count(), 1, "the pattern of the first command");
        assert!(manifest.ends_with('\n'), "what is appended stands on a line of its own");
    }
}
