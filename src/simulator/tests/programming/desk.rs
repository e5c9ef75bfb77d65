//! A user with a folder, a configuration folder in it, and a virtual pump on the desk.

#[cfg(unix)]
use crate::cutter::Cutter;
use crate::serving::Server;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What anything takes at most, on a slow machine: what arms a pump takes 3 s of the link's time, and its longest rest here is 2 s.
pub const LONG_ENOUGH: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
const BETWEEN: Duration = Duration::from_millis(50);

pub struct Desk {
    folder: TempDir,
    pub server: Server,
    /// The port that `thecal` connects to.
    port: u16,
}

/// How a `thecal` ended.
pub struct Ended {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG_ENOUGH, "{what}");
        std::thread::sleep(BETWEEN);
    }
}

impl Desk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(
            Command::new(env!("CARGO_BIN_EXE_thecal"))
                .args(["serve", "--port", "0"])
                .current_dir(folder.path()),
        );
        let port = server.port;
        Self {
            folder,
            server,
            port,
        }
    }

    /// Puts something between `thecal` and the pump.
    #[cfg(unix)]
    pub fn cutter(&mut self) -> Cutter {
        let cutter = Cutter::before(self.server.port);
        self.port = cutter.port;
        cutter
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where `thecal` finds the pump.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Whose computer it is.
    pub fn set(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            // Two hours east of Greenwich, whatever the computer's own zone and its database.
            .env("TZ", "<+02>-2");
    }

    pub fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thecal"));
        self.set(&mut command);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("thecal runs");
        // It may not want to read.
        let _ = child
            .stdin
            .take()
            .expect("its input")
            .write_all(input.as_bytes());
        let output = child.wait_with_output().expect("thecal ends");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ended {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// With the pump's address, and JSON; ends with this status.
    pub fn thecal(&self, status: i32, arguments: &[&str]) -> Value {
        self.fed(status, arguments, "")
    }

    pub fn fed(&self, status: i32, arguments: &[&str], input: &str) -> Value {
        let address = self.address();
        let arguments = [arguments, &["--json", "--connect", &address]].concat();
        let mut ended = None;
        // A pump rests after a connection on which nobody was let in, and is not there meanwhile.
        until("the pump rests for ever", || {
            let now = self.run(&arguments, input);
            let rests = now.status == Some(4) && now.stderr.contains("does not show itself");
            ended = Some(now);
            !rests
        });
        let ended = ended.expect("it ran");
        assert_eq!(
            ended.status,
            Some(status),
            "{arguments:?}: {} {}",
            ended.stdout,
            ended.stderr
        );
        for secret in ["THECAL1:", "THECAL2:", "THECAL3:"] {
            assert!(!ended.stdout.contains(secret), "{arguments:?}");
            assert!(
                !ended.stderr.contains(&format!("{secret}0")),
                "{arguments:?}"
            );
        }
        serde_json::from_str(&ended.stdout).expect("JSON")
    }

    pub fn simulation(&self, request: &str, body: &str) -> Value {
        let mut socket = TcpStream::connect(("127.0.0.1", self.server.port)).expect("a connection");
        write!(
            socket,
            "{request} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.server.port,
            body.len()
        )
        .expect("asked");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("answered");
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The text that lies beside the pump.
    pub fn paper(&self) -> String {
        let answer = self.simulation("GET /simulation/pack", "");
        answer["text"].as_str().expect("a text").to_owned()
    }

    /// Holds the magnet until the pump is armed. One that was gone too early, on a busy machine, is brought again.
    pub fn hold_magnet(&self) {
        until("not armed", || {
            let now = self.simulation("GET /simulation", "");
            if now["armed"] != true && now["magnet"] != true {
                self.simulation("POST /simulation", "{\"magnet\": true}");
            }
            now["armed"] == true
        });
    }

    /// A clinician who has enrolled.
    pub fn enrol(&self) -> Value {
        self.hold_magnet();
        self.fed(0, &["enroll"], &self.paper())
    }
}

/// What went wrong, in words.
pub fn error(answer: &Value) -> &str {
    answer["error"].as_str().expect("words")
}
