//! Recorded answers, and bad ones, from a daemon that is none.

use std::collections::HashMap;
use std::os::unix::net::UnixListener;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;

use super::*;

/// `GET /1.0/instances/web`, from a running LXD 5.0.2, without what repeats.
const LXD: &str = r#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{"architecture":"x86_64","config":{"volatile.last_state.power":"RUNNING","volatile.uuid":"4536992d-0b38-4fd7-9b49-f94bb15049bf"},"devices":{"root":{"path":"/","pool":"default","type":"disk"}},"ephemeral":false,"profiles":["default"],"stateful":false,"description":"","created_at":"2026-11-23T21:33:22.281104291Z","expanded_config":{"volatile.last_state.power":"RUNNING"},"expanded_devices":{"root":{"path":"/","pool":"default","type":"disk"}},"name":"web","status":"Running","status_code":103,"last_used_at":"2026-11-23T21:33:24.646248333Z","location":"none","type":"container","project":"default"}}"#;
const LXD_STATE: &str = r#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{"status":"Running","status_code":103,"disk":{},"memory":{"usage":598016,"usage_peak":1544192,"swap_usage":0,"swap_usage_peak":0},"network":{"lo":{"addresses":[{"family":"inet","address":"127.0.0.1","netmask":"8","scope":"local"}],"counters":{"bytes_received":0,"bytes_sent":0},"hwaddr":"","host_name":"","mtu":65536,"state":"up","type":"loopback"}},"pid":24103,"processes":2,"cpu":{"usage":13983812}}}"#;

/// The same of Incus, after the examples of its API specification (`doc/rest-api.yaml`): `Instance`, `InstanceState`, `StoragePool`.
const INCUS: &str = r#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{"architecture":"x86_64","backups":null,"config":{"security.nesting":"true"},"created_at":"2021-03-23T20:00:00-04:00","description":"My test instance","devices":{"root":{"path":"/","pool":"default","type":"disk"}},"ephemeral":false,"expanded_config":{"security.nesting":"true"},"expanded_devices":{"eth0":{"name":"eth0","network":"incusbr0","type":"nic"},"data":{"path":"/srv","pool":"other","source":"data","type":"disk"},"system":{"path":"/","pool":"local","type":"disk"}},"last_used_at":"2021-03-23T20:00:00-04:00","location":"server01","name":"web","profiles":["default"],"project":"foo","restore":"snap0","snapshots":[],"state":null,"stateful":false,"status":"Stopped","status_code":102,"type":"container"}}"#;
const INCUS_STATE: &str = r#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{"cpu":{"allocated_time":4000000000,"usage":3637691016},"disk":{"root":{"total":5189222192,"usage":502239232}},"memory":{"swap_usage":12297557,"swap_usage_peak":12297557,"total":4096000,"usage":73248768,"usage_peak":73785344},"network":null,"os_info":null,"pid":7281,"processes":50,"started_at":"2024-04-23T11:00:00Z","status":"Running","status_code":103}}"#;
const INCUS_POOL: &str = r#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{"config":{"source":"/var/lib/incus/storage-pools/local"},"description":"Local SSD pool","driver":"dir","locations":["server01"],"name":"local","status":"Created","used_by":["/1.0/instances/web"]}}"#;

const NOT_FOUND: &str =
    r#"{"type":"error","status":"","status_code":0,"operation":"","error_code":404,"error":"Instance not found","metadata":null}"#;

/// A daemon that answers what it was told to answer.
struct Recorded {
    dir: TempDir,
    task: JoinHandle<()>,
}

impl Recorded {
    /// By path: the raw answer. Others are not found.
    fn new(answers: &[(&str, String)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("unix.socket")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let answers: HashMap<String, String> = answers.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())).collect();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &answers).await;
            }
        });
        Self { dir, task }
    }

    fn ok(answers: &[(&str, &str)]) -> Self {
        Self::new(&answers.iter().map(|(path, body)| (*path, answer(200, body))).collect::<Vec<_>>())
    }

    async fn inspect(&self, product: Product) -> Result<Instance, Error> {
        inspect(product, self.dir.path()).await
    }

    fn rootfs(&self, pool: &str) -> PathBuf {
        self.dir.path().join("storage-pools").join(pool).join("containers/web/rootfs")
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: UnixStream, answers: &HashMap<String, String>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut path = None;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
            if line == "\r\n" {
                break;
            }
        }
        let said = answers.get(&path.unwrap()).cloned().unwrap_or_else(|| answer(404, NOT_FOUND));
        if stream.write_all(said.as_bytes()).await.is_err() || !said.starts_with("HTTP/1.1") {
            return;
        }
    }
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn name() -> ContainerName {
    "web".parse().unwrap()
}

async fn inspect(product: Product, directory: &Path) -> Result<Instance, Error> {
    Daemon { deadline: Duration::from_secs(20), ..Daemon::new(product) }.inspect(&name(), directory.to_str()).await
}

#[tokio::test]
async fn the_init_of_a_running_container_is_told_by_both_daemons() {
    let running = INCUS.replace("\"Stopped\",\"status_code\":102", "\"Running\",\"status_code\":103");
    for (product, about, state, pid) in [(Product::Lxd, LXD, LXD_STATE, 24103), (Product::Incus, &running, INCUS_STATE, 7281)] {
        let daemon = Recorded::ok(&[("/1.0/instances/web", about), ("/1.0/instances/web/state", state)]);
        assert_eq!(daemon.inspect(product).await.unwrap(), Instance { rootfs: None, init_pid: Some(pid) });
    }
}

#[tokio::test]
async fn a_stopped_container_has_its_root_on_disk_where_its_storage_is_a_directory() {
    for (driver, on_disk) in [("dir", true), ("btrfs", true), ("zfs", false), ("lvm", false), ("ceph", false)] {
        let pool = INCUS_POOL.replace("\"dir\"", &format!("\"{driver}\""));
        let daemon = Recorded::ok(&[("/1.0/instances/web", INCUS), ("/1.0/storage-pools/local", &pool)]);
        let rootfs = on_disk.then(|| daemon.rootfs("local"));
        assert_eq!(daemon.inspect(Product::Incus).await.unwrap(), Instance { rootfs, init_pid: None }, "{driver}");
    }
    let evil = INCUS.replace("\"local\"", "\"../../../..\"");
    let daemon = Recorded::ok(&[("/1.0/instances/web", &evil)]);
    assert_eq!(daemon.inspect(Product::Incus).await.unwrap(), Instance { rootfs: None, init_pid: None });
}

#[tokio::test]
async fn an_init_is_entered_in_its_own_root_only() {
    let code = |text: &str, code| text.replace("\"status_code\":103", &format!("\"status_code\":{code}"));
    // Starting, Stopping, Aborting, Error.
    for odd in [106, 107, 108, 112] {
        let daemon = Recorded::ok(&[("/1.0/instances/web", LXD), ("/1.0/instances/web/state", &code(LXD_STATE, odd))]);
        assert_eq!(daemon.inspect(Product::Lxd).await.unwrap().init_pid, None, "{odd}");
    }
    // Frozen, Ready.
    for alive in [110, 113] {
        let answers = (code(LXD, alive), code(LXD_STATE, alive));
        let daemon = Recorded::ok(&[("/1.0/instances/web", &answers.0), ("/1.0/instances/web/state", &answers.1)]);
        assert_eq!(daemon.inspect(Product::Lxd).await.unwrap().init_pid, Some(24103), "{alive}");
    }
    for none in ["0", "-1", "99999999999"] {
        let state = LXD_STATE.replace("24103", none);
        let daemon = Recorded::ok(&[("/1.0/instances/web", LXD), ("/1.0/instances/web/state", &state)]);
        assert_eq!(daemon.inspect(Product::Lxd).await.unwrap().init_pid, None, "{none}");
    }
}

#[tokio::test]
async fn a_virtual_machine_is_refused_with_its_kind() {
    let daemon = Recorded::ok(&[("/1.0/instances/web", &LXD.replace("\"container\"", "\"virtual-machine\""))]);
    let error = daemon.inspect(Product::Lxd).await.unwrap_err();
    assert_eq!(error.to_string(), "`web` of LXD is a virtual-machine; only containers can be entered");
}

#[tokio::test]
async fn an_unknown_name_is_not_found_and_a_refusal_is_told_in_one_line() {
    let error = Recorded::ok(&[]).inspect(Product::Incus).await.unwrap_err();
    assert!(
        matches!(&error, Error::NotFound(text) if text.contains("Incus knows no container `web`") && text.contains("`incus list`")),
        "{error}"
    );
    for (status, said) in [(403, "not authorized\u{1b}[2J\nat all"), (500, "Boom\u{7}")] {
        let body = serde_json::json!({"type": "error", "error_code": status, "error": said}).to_string();
        let error = Recorded::new(&[("/1.0/instances/web", answer(status, &body))]).inspect(Product::Lxd).await.unwrap_err();
        assert_eq!(matches!(error, Error::PermissionDenied(_)), status == 403, "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
}

#[tokio::test]
async fn answers_without_sense_are_failures_in_one_line() {
    let endless = format!("{}{}", &answer(200, "").replace(": 0", ": 2000000"), " ".repeat(2_000_000));
    let without_type = LXD.replace("\"type\":\"container\",", "");
    let wrong_type = LXD.replace("\"status_code\":103", "\"status_code\":\"\\u001b[2J\"");
    for bad in [
        answer(200, ""),
        answer(200, "null"),
        answer(200, "[1\u{7}]"),
        answer(200, &"[".repeat(100_000)),
        answer(200, r#"{"metadata":null}"#),
        answer(200, &without_type),
        answer(200, &wrong_type),
        answer(302, "elsewhere"),
        answer(200, LXD).replace("Content-Length: ", "Content-Length: 9"),
        "HTTP/1.0 \u{1b}\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        String::new(),
        endless,
    ] {
        let daemon = Recorded::new(&[("/1.0/instances/web", bad.clone())]);
        let patient = Daemon { deadline: Duration::from_millis(500), ..Daemon::new(Product::Lxd) };
        let error = patient.inspect(&name(), daemon.dir.path().to_str()).await.unwrap_err();
        let bad: String = bad.chars().take(300).collect();
        assert!(matches!(error, Error::Failed(_)), "{bad}: {error}");
        assert!(error.to_string().len() < 500 && !error.to_string().contains(char::is_control), "{bad}: {error:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_takes_the_connection_and_says_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(dir.path().join("unix.socket")).unwrap();
    let hasty = Daemon { deadline: Duration::from_millis(50), ..Daemon::new(Product::Incus) };
    let error = hasty.inspect(&name(), dir.path().to_str()).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(text) if text.contains("Incus has not answered")), "{error}");
}

#[tokio::test]
async fn a_daemon_that_is_not_there_knows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let absent = inspect(Product::Lxd, dir.path()).await.unwrap_err();
    let place = dir.path().join("unix.socket");
    assert_eq!(absent.to_string(), format!("LXD does not run (no socket {})", place.display()));
    drop(UnixListener::bind(&place).unwrap());
    let silent = inspect(Product::Lxd, dir.path()).await.unwrap_err();
    assert!(matches!(&silent, Error::Absent(text) if text.contains("does not run (nobody listens")), "{silent}");
    assert!(matches!(absent, Error::Absent(_)));
    let relative = Daemon::new(Product::Lxd).inspect(&name(), Some("lxd")).await.unwrap_err();
    assert!(matches!(&relative, Error::Failed(text) if text.contains("not absolute")), "{relative}");
    let forbidden = Product::Incus.unreachable(&Product::Incus.doors(None), &ErrorKind::PermissionDenied.into());
    assert!(matches!(&forbidden, Error::PermissionDenied(text) if text.contains("`incus-admin`")), "{forbidden}");
}

#[tokio::test]
async fn the_first_door_that_opens_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let door = |name: &str| Door { socket: dir.path().join(name), directory: dir.path().join("kept") };
    let doors = [door("none"), door("stale"), door("open"), door("other")];
    drop(UnixListener::bind(&doors[1].socket).unwrap());
    let refused = connect(&doors).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "what is there says more than what is not");
    let _listener = UnixListener::bind(&doors[2].socket).unwrap();
    assert_eq!(connect(&doors).await.unwrap().1, &doors[2]);
}

#[test]
fn a_name_is_one_segment_of_a_path() {
    assert_eq!(escaped("web-1_2.3~"), "web-1_2.3~");
    assert_eq!(escaped("a/b?c#d%e \u{e4}"), "a%2Fb%3Fc%23d%25e%20%C3%A4");
}

#[tokio::test]
async fn many_who_ask_a_daemon_that_hangs_wait_no_longer_than_one() {
    let dir = tempfile::tempdir().unwrap();
    let _silent = UnixListener::bind(dir.path().join("unix.socket")).unwrap();
    let deadline = Duration::from_millis(200);
    let daemon = Daemon { deadline, ..Daemon::new(Product::Lxd) };
    let began = std::time::Instant::now();
    let name = name();
    let errors = futures_util::future::join_all((0..64).map(|_| daemon.inspect(&name, dir.path().to_str()))).await;
    assert!(errors.iter().all(|answer| matches!(answer, Err(Error::Failed(text)) if text.contains("has not answered"))), "{errors:?}");
    // One after the other, four at a time, would be sixteen times as long.
    assert!(began.elapsed() < deadline * 8, "{:?}", began.elapsed());
}
