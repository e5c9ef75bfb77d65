//! `thecal serve` as a phone page, a stranger's page and an operator meet it.

mod serving;

use protocol::{
    Client, ClientEvent, Command as Ask, Component, Credentials, Denied, Digest, Dose,
    ENROLMENT_SLOT, EmergencyCard, Ended, Fill, ImplantCard, Info, KeyGrant, KeyText, Mode, Mtu,
    Outcome, PackText, Program, Reason, Role, Secret, Status,
};
use serving::Server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{ClientRequestBuilder, Message, WebSocket};
use units::{CarrierTime, Drug, Per};

const LONG_ENOUGH: Duration = Duration::from_secs(20);
const JSON: &str = "Content-Type: application/json";

fn thecal(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thecal"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The exit status and standard error of a `thecal` that must end by itself.
fn finished(arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = thecal(arguments).spawn().expect("thecal runs");
    let status = ended(&mut child).unwrap_or_else(|| {
        child.kill().expect("killed");
        panic!("{arguments:?} went on")
    });
    let mut error = String::new();
    let stderr = child.stderr.as_mut().expect("its errors");
    stderr.read_to_string(&mut error).expect("text");
    (status.code(), error)
}

fn ended(child: &mut Child) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < LONG_ENOUGH {
        if let Some(status) = child.try_wait().expect("a status") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// A server of its own for each test.
fn serve(arguments: &[&str]) -> Server {
    Server::start(&mut thecal(
        &[&["serve", "--port", "0"], arguments].concat(),
    ))
}

impl Server {
    fn request(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream
            .set_read_timeout(Some(LONG_ENOUGH))
            .expect("a time-out");
        let request = format!(
            "{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a status");
        (
            status,
            answer.split_once("\r\n\r\n").expect("a body").1.to_owned(),
        )
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.request(
            &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}", self.port),
            "",
        )
    }

    fn post(&self, headers: &str, body: &str) -> (u16, String) {
        self.request(
            &format!(
                "POST /simulation HTTP/1.1\r\nHost: localhost:{}\r\n{headers}",
                self.port
            ),
            body,
        )
    }

    fn simulation(&self) -> serde_json::Value {
        serde_json::from_str(&self.get("/simulation").1).expect("JSON")
    }

    /// The text that comes with the pump.
    fn paper(&self) -> String {
        let (status, answer) = self.get("/simulation/pack");
        assert_eq!(status, 200, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        answer["text"].as_str().expect("a text").to_owned()
    }

    /// Holds a magnet over the pump until it counts.
    fn hold_magnet(&self) {
        let (status, answer) = self.post(JSON, "{\"magnet\": true}");
        assert_eq!(status, 200, "{answer}");
        let began = Instant::now();
        while self.simulation()["armed"] != true {
            assert!(began.elapsed() < LONG_ENOUGH, "not armed");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Enrols a clinician in slot 0.
    fn enrol(&self) -> KeyText {
        let pack = PackText::parse(&self.paper()).expect("a sterile pack's");
        self.hold_magnet();
        let key = KeyText {
            pump: pack.pump,
            private: Secret::new([7; 32]),
            preshared: Secret::new([8; 32]),
            slot: 0,
        };
        let credentials = Credentials::new(
            ENROLMENT_SLOT,
            key.private.clone(),
            pack.one_time.clone(),
            pack.pump,
        );
        let mut phone = Phone::open(self, &credentials, 247).expect("an enrolment");
        assert_eq!(phone.role, Role::Enrolling);
        let grant = KeyGrant {
            slot: 0,
            role: Role::Clinician,
            public_key: key.private.public_key(),
            preshared: key.preshared.clone(),
        };
        assert_eq!(phone.ask(&Ask::GrantKey(grant)), Outcome::Done);
        phone.go();
        key
    }

    fn link(&self, query: &str) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream
            .set_read_timeout(Some(LONG_ENOUGH))
            .expect("a time-out");
        let address = format!("ws://127.0.0.1:{}/link{query}", self.port);
        tungstenite::client(address, stream).expect("a link").0
    }

    fn signal(&mut self, signal: &str) -> ExitStatus {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
        ended(&mut self.child).unwrap_or_else(|| panic!("still running after {signal}"))
    }
}

/// Close codes of our own.
const HUNG_UP: CloseCode = CloseCode::Library(4001);
const NOT_SHOWN: CloseCode = CloseCode::Library(4002);

fn binary(socket: &mut WebSocket<TcpStream>) -> Vec<u8> {
    loop {
        match socket.read().expect("a message") {
            Message::Binary(message) => return message.to_vec(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn send(socket: &mut WebSocket<TcpStream>, message: &[u8]) {
    socket
        .send(Message::Binary(message.to_vec().into()))
        .expect("sent");
}

/// How the server closes a link.
fn closed(socket: &mut WebSocket<TcpStream>) -> (CloseCode, String) {
    loop {
        match socket.read().expect("a close") {
            Message::Close(Some(frame)) => return (frame.code, frame.reason.to_string()),
            Message::Close(None) => panic!("closed without a reason"),
            _ => {}
        }
    }
}

/// A phone over the WebSocket, in a session.
struct Phone {
    socket: WebSocket<TcpStream>,
    client: Client,
    began: Instant,
    role: Role,
}

impl Phone {
    fn connect(server: &Server, key: &KeyText, mtu: u16) -> Self {
        Self::open(server, &key.credentials(), mtu).expect("a session")
    }

    fn open(server: &Server, credentials: &Credentials, mtu: u16) -> Result<Self, Ended> {
        let began = Instant::now();
        let (socket, info) = loop {
            let mut socket = server.link(&format!("?mtu={mtu}"));
            send(&mut socket, &[2]);
            match socket.read().expect("a message") {
                Message::Binary(info) => break (socket, info),
                // The link of before has not ended yet.
                Message::Close(Some(frame)) if frame.code == CloseCode::Again => {
                    assert!(began.elapsed() < LONG_ENOUGH, "still taken");
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => panic!("{other:?}"),
            }
        };
        let info = Info::decode(&info[1..]).expect("an Info");
        let mut client = Client::new();
        client.opened(Mtu::new(mtu).expect("an MTU"));
        let mut phone = Self {
            socket,
            client,
            began: Instant::now(),
            role: Role::Enrolling,
        };
        let now = phone.now();
        phone
            .client
            .open(now, &info, credentials, Secret::new([9; 32]))
            .expect("a Hello");
        match phone.event() {
            ClientEvent::Welcome(welcome) => {
                phone.role = welcome.role;
                Ok(phone)
            }
            ClientEvent::Ended(ended) => Err(ended),
            other => panic!("{other:?}"),
        }
    }

    /// Closes the link, and waits until the pump has heard of it.
    fn go(mut self) {
        self.socket.close(None).expect("closed");
        while self.socket.read().is_ok() {}
    }

    fn now(&self) -> CarrierTime {
        CarrierTime::from_micros(u64::try_from(self.began.elapsed().as_micros()).expect("small"))
    }

    fn ask(&mut self, command: &Ask) -> Outcome {
        self.client.request(self.now(), command).expect("a request");
        match self.event() {
            ClientEvent::Answer(answer) => answer.outcome,
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self) {
        while let Some(frame) = self.client.next_frame() {
            send(&mut self.socket, &[&[3], frame.as_slice()].concat());
        }
    }

    fn event(&mut self) -> ClientEvent {
        loop {
            self.write();
            let message = binary(&mut self.socket);
            let (4, fragment) = message
                .split_first()
                .map(|(attribute, value)| (*attribute, value))
                .expect("not empty")
            else {
                continue;
            };
            let event = self.client.receive(self.now(), fragment);
            if event != ClientEvent::Nothing {
                self.write();
                return event;
            }
        }
    }

    fn status(&mut self) -> Status {
        match self.ask(&Ask::Interrogate) {
            Outcome::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn program(&mut self) {
        let primary = Component {
            drug: Drug::Baclofen,
            concentration_ng_per_ml: 2_000_000,
        };
        let dose = Dose {
            nanograms: 250_000,
            per: Per::Day,
        };
        let program = Program {
            fill: Some(Fill {
                volume_nl: 20_000_000,
                top_up: false,
            }),
            ..Program::new(primary, Mode::SimpleContinuous { dose })
        };
        let number = self.status().program_number + 1;
        let Outcome::Staged(staged) = self.ask(&Ask::Stage(program.clone())) else {
            panic!("not staged")
        };
        assert_eq!(staged.digest, Digest::of(&program, number));
        assert_eq!(
            self.ask(&Ask::Commit(staged.commit(None))),
            Outcome::Committed {
                program_number: number
            }
        );
    }
}

#[test]
fn a_phone_programs_the_pump_and_sees_it_deliver() {
    for mtu in [23, 247] {
        let server = serve(&["--speed", "100000"]);
        let key = server.enrol();
        let mut phone = Phone::connect(&server, &key, mtu);
        phone.program();
        let began = Instant::now();
        let delivered = loop {
            let status = phone.status();
            if status.counted_steps > 50_000 {
                break status;
            }
            assert!(began.elapsed() < LONG_ENOUGH, "{status:?}");
        };
        let counted = u64::try_from(delivered.counted_steps).expect("forward");
        // A step that has begun may have been delivered and is not counted yet.
        assert!(
            (counted..=counted + 1).contains(&delivered.at_most_steps),
            "{delivered:?}"
        );
        assert_eq!(delivered.deficit_steps, 0);
        let drawn = delivered.at_most_steps * 2_500_000;
        assert_eq!(delivered.reservoir_fl, Some(20_000_000_000_000 - drawn));
    }
}

#[test]
fn attributes_answer_as_gatt_would() {
    let server = serve(&[]);
    let mut socket = server.link("?mtu=23");
    let mut exchange = |message: &[u8]| {
        send(&mut socket, message);
        binary(&mut socket)
    };
    let info = exchange(&[2]);
    assert_eq!(info[0], 2);
    let info = Info::decode(&info[1..]).expect("an Info");
    assert_ne!(info.capabilities & protocol::info::capability::VIRTUAL, 0);
    assert_eq!(exchange(&[4]), [4], "no fragment yet");
    let flags = exchange(&[6]);
    assert_eq!(flags.len(), 3);
    assert_eq!(exchange(&[]), [0, 0, 0x04]);
    assert_eq!(exchange(&[3]), [0, 3, 0x02]);
    assert_eq!(exchange(&[2, 1]), [0, 2, 0x03]);
    assert_eq!(exchange(&[7]), [0, 7, 0x02], "not armed");
    assert_eq!(exchange(&[7, 1]), [0, 7, 0x03]);
    assert_eq!(exchange(&[8]), [0, 8, 0x0A]);
    assert_eq!(exchange(&[[3].as_slice(), &[0; 21]].concat()), [0, 3, 0x0D]);
}

#[test]
fn a_flag_that_changes_is_notified() {
    let server = serve(&[]);
    let key = server.enrol();
    let mut phone = Phone::connect(&server, &key, 247);
    let flags = phone.status().status_changed;
    phone
        .client
        .request(phone.now(), &Ask::ResetStatusChanged { mask: flags })
        .expect("a request");
    phone.write();
    while binary(&mut phone.socket) != [6, 0, 0] {}
}

#[test]
fn the_pump_has_one_link_and_it_is_free_again_when_the_phone_goes() {
    let server = serve(&[]);
    let mut first = server.link("");
    send(&mut first, &[2]);
    binary(&mut first);
    let (code, reason) = closed(&mut server.link(""));
    assert_eq!(
        (code, reason.as_str()),
        (
            CloseCode::Again,
            "another phone is connected: the pump has one link"
        )
    );
    send(&mut first, &[2]);
    assert_eq!(binary(&mut first)[0], 2, "the first one is undisturbed");
    drop(first);
    let began = Instant::now();
    loop {
        let mut next = server.link("");
        send(&mut next, &[2]);
        if matches!(next.read(), Ok(Message::Binary(_))) {
            break;
        }
        assert!(began.elapsed() < LONG_ENOUGH, "still taken");
        // The first one opened no session: the pump rests for a second.
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_no_carrier_message_ends_the_link_with_a_reason() {
    let server = serve(&[]);
    let mut socket = server.link("");
    socket.send(Message::Text("hello".into())).expect("sent");
    assert_eq!(closed(&mut socket).0, CloseCode::Unsupported);
    let began = Instant::now();
    let code = loop {
        let mut socket = server.link("");
        send(&mut socket, &[3; 2000]);
        match closed(&mut socket).0 {
            // The one before was no phone that the pump lets in, and it rests for a second.
            CloseCode::Again | NOT_SHOWN => {
                assert!(began.elapsed() < LONG_ENOUGH);
                std::thread::sleep(Duration::from_millis(50));
            }
            code => break code,
        }
    };
    assert_eq!(code, CloseCode::Size);
}

#[test]
fn an_mtu_that_no_link_has_is_refused() {
    let server = serve(&[]);
    for mtu in ["22", "248", "0", "-1", "23.5", "many", ""] {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
        let address = format!("ws://127.0.0.1:{}/link?mtu={mtu}", server.port);
        match tungstenite::client(address, stream) {
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                assert_eq!(answer.status(), 400, "{mtu}");
            }
            other => panic!("{mtu}: {other:?}"),
        }
    }
}

#[test]
fn a_phone_without_a_key_reads_info_is_denied_and_is_hung_up_upon() {
    let server = serve(&[]);
    let pack = PackText::parse(&server.paper()).expect("a sterile pack's");
    let one_time = Credentials::new(
        ENROLMENT_SLOT,
        Secret::new([7; 32]),
        pack.one_time.clone(),
        pack.pump,
    );
    let ended = Phone::open(&server, &one_time, 247)
        .map(|phone| phone.role)
        .expect_err("not armed");
    assert_eq!(ended.reason, Reason::Denied(Denied::NotArmed));
    // It rests, and says so.
    let (code, reason) = closed(&mut server.link(""));
    assert!(code == CloseCode::Again || code == NOT_SHOWN, "{reason}");
    // With presence it is there at once.
    server.hold_magnet();
    let key = server.enrol();
    assert_eq!(
        ImplantCard::parse(&server.paper()),
        Ok(pack.implant_card()),
        "the pack has done what it is for"
    );
    let wrong = KeyText {
        preshared: Secret::new([99; 32]),
        ..key.clone()
    };
    let ended = Phone::open(&server, &wrong.credentials(), 247)
        .map(|phone| phone.role)
        .expect_err("a wrong key");
    assert_eq!(ended.reason, Reason::Denied(Denied::NotAdmitted));
    assert_eq!(Phone::connect(&server, &key, 23).role, Role::Clinician);
}

#[test]
fn whoever_says_nothing_is_told_why_the_link_ends() {
    let server = serve(&[]);
    let mut socket = server.link("");
    let began = Instant::now();
    let (code, reason) = closed(&mut socket);
    assert_eq!(
        (code, reason.as_str()),
        (HUNG_UP, "no session was opened in time")
    );
    let took = began.elapsed();
    assert!(
        (Duration::from_millis(4_500)..Duration::from_secs(8)).contains(&took),
        "{took:?}"
    );
}

#[test]
fn a_magnet_shows_the_emergency_card_to_anybody() {
    let server = serve(&["--speed", "100000"]);
    // Taken away too early.
    server.post(JSON, "{\"magnet\": true}");
    std::thread::sleep(Duration::from_millis(500));
    server.post(JSON, "{\"magnet\": false}");
    assert_eq!(server.simulation()["magnet"], false);
    server.hold_magnet();
    let mut socket = server.link("");
    send(&mut socket, &[7]);
    let card = binary(&mut socket);
    assert_eq!(card[0], 7);
    let pack = PackText::parse(&server.paper()).expect("a pack's");
    let card = EmergencyCard::decode(&card[1..]).expect("a card");
    assert_eq!(card.pump, pack.pump.fingerprint());
    // It goes by itself.
    let began = Instant::now();
    while server.simulation()["magnet"] == true {
        assert!(began.elapsed() < LONG_ENOUGH, "still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn other_sites_are_kept_out() {
    let server = serve(&[]);
    let port = server.port;
    let host = format!("Host: 127.0.0.1:{port}");
    // DNS rebinding: a foreign name that resolves to this machine.
    for path in ["/", "/simulation", "/simulation/pack", "/link"] {
        assert_eq!(
            server
                .request(
                    &format!("GET {path} HTTP/1.1\r\nHost: evil.example:{port}"),
                    ""
                )
                .0,
            403,
            "{path}"
        );
    }
    let json = JSON;
    assert_eq!(
        server
            .request(
                &format!(
                    "POST /simulation HTTP/1.1\r\n{host}\r\n{json}\r\nOrigin: http://evil.example"
                ),
                "{\"speed\":9}"
            )
            .0,
        403
    );
    assert_eq!(
        server
            .request(
                &format!("GET /simulation/pack HTTP/1.1\r\n{host}\r\nOrigin: http://evil.example"),
                ""
            )
            .0,
        403
    );
    assert_eq!(server.simulation()["speed"], 1);
    for (origin, taken) in [
        ("http://evil.example".to_owned(), false),
        (format!("http://localhost:{port}"), true),
    ] {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        let address = format!("ws://127.0.0.1:{port}/link")
            .parse()
            .expect("an address");
        let request = ClientRequestBuilder::new(address).with_header("Origin", origin);
        match tungstenite::client(request, stream) {
            Ok(_) => assert!(taken),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                assert!(!taken);
                assert_eq!(answer.status(), 403);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn time_runs_as_fast_as_it_is_told_to() {
    let server = serve(&["--speed", "10"]);
    let state = server.simulation();
    assert_eq!(state["speed"], 10);
    assert_eq!(state["flash"], "memory");
    assert_eq!(
        (&state["lowest_speed"], &state["highest_speed"]),
        (&1.into(), &100_000.into())
    );
    let json = "Content-Type: application/json";
    let (status, answer) = server.post(json, "{\"speed\": 100000}");
    assert_eq!(status, 200, "{answer}");
    // A speed that any machine keeps up with, however busy it is.
    let (status, answer) = server.post(json, "{\"speed\": 1000}");
    assert_eq!(status, 200, "{answer}");
    let millis = |state: &serde_json::Value| state["simulated_ms"].as_u64().expect("a number");
    let (before, began) = (millis(&server.simulation()), Instant::now());
    std::thread::sleep(Duration::from_millis(300));
    let (after, passed) = (millis(&server.simulation()), began.elapsed());
    assert!(after - before >= 300 * 1_000, "{before} {after}");
    assert!(
        u128::from(after - before) <= (passed.as_millis() + 50) * 1_000,
        "{before} {after} {passed:?}"
    );
    for (headers, body, status, reason) in [
        (
            json,
            "{\"speed\": 0}",
            400,
            "speed: 0 is not allowed; a whole number from 1 to 100000",
        ),
        (
            json,
            "{\"speed\": \"fast\"}",
            400,
            "speed: \"fast\" is not allowed; a whole number from 1 to 100000",
        ),
        (
            json,
            "{}",
            400,
            "expected {\"speed\": N}, N a whole number from 1 to 100000, or {\"magnet\": true or false}",
        ),
        (
            json,
            "{\"magnet\": 3}",
            400,
            "magnet: 3 is not allowed; true or false",
        ),
        (
            "Content-Type: text/plain",
            "{\"speed\": 5}",
            415,
            "Content-Type: application/json is needed",
        ),
    ] {
        let (found, answer) = server.post(headers, body);
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!((found, answer["error"].as_str()), (status, Some(reason)));
    }
    assert_eq!(server.simulation()["speed"], 1_000);
}

#[test]
fn the_page_is_served_and_nothing_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page");
    std::fs::create_dir(&page).expect("a folder");
    std::fs::write(page.join("index.html"), "<p>the page").expect("a file");
    std::fs::write(page.join("core.wasm"), "wasm").expect("a file");
    std::fs::write(folder.path().join("secret"), "secret").expect("a file");
    let server = serve(&["--page", page.to_str().expect("text")]);
    assert_eq!(server.get("/"), (200, "<p>the page".to_owned()));
    assert_eq!(server.get("/core.wasm").0, 200);
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "//secret",
        "/none",
    ] {
        let (status, body) = server.get(path);
        assert!(status >= 400, "{path}");
        assert!(!body.contains("secret"), "{path}");
    }
}

#[test]
fn it_stops_cleanly_when_asked_to() {
    for signal in ["-INT", "-TERM"] {
        let mut server = serve(&["--speed", "100000"]);
        let mut socket = server.link("");
        send(&mut socket, &[2]);
        binary(&mut socket);
        let began = Instant::now();
        let status = server.signal(signal);
        assert!(status.success(), "{signal}: {status}");
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{signal} took {:?}",
            began.elapsed()
        );
        let (code, reason) = closed(&mut socket);
        assert_eq!(
            (code, reason.as_str()),
            (CloseCode::Away, "the virtual pump is stopping")
        );
    }
}

#[test]
fn a_flash_image_keeps_the_program_across_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("pump.flash");
    let flash = [
        "--flash",
        image.to_str().expect("text"),
        "--speed",
        "100000",
    ];
    let mut server = serve(&flash);
    assert_eq!(server.simulation()["flash"], "file");
    let pack = server.paper();
    let kept = |ending| std::fs::read_to_string(folder.path().join(format!("pump.flash.{ending}")));
    assert_eq!(kept("pack").expect("kept").trim_end(), pack);
    #[cfg(unix)]
    for name in ["pump.flash", "pump.flash.pack"] {
        use std::os::unix::fs::PermissionsExt;
        let about = std::fs::metadata(folder.path().join(name)).expect("there");
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let key = server.enrol();
    let mut phone = Phone::connect(&server, &key, 247);
    phone.program();
    while phone.status().counted_steps < 10_000 {}
    let before = phone.status();
    // A second pump on the same image is refused, and the first goes on.
    let (status, error) = finished(&["serve", "--port", "0", flash[0], flash[1]]);
    assert_eq!(status, Some(1));
    assert!(
        error.contains("--flash") && error.contains("in use by another virtual pump"),
        "{error}"
    );
    assert!(server.signal("-TERM").success());

    // What is left of the pack is what goes on the implant card; the page is gone.
    let card = PackText::parse(&pack).expect("a pack's").implant_card();
    assert_eq!(kept("pack").expect("kept").trim_end(), card.to_string());
    assert!(kept("page").is_err());

    let server = serve(&flash[..2]);
    assert_eq!(server.paper(), card.to_string());
    let after = Phone::connect(&server, &key, 247).status();
    assert_eq!(
        (after.boot, after.program_number, after.program),
        (2, 1, before.program)
    );
    assert!(
        after.counted_steps >= before.counted_steps,
        "steps went on after the last look"
    );
    assert!(after.at_most_steps >= before.at_most_steps);
}

#[test]
fn a_file_that_is_no_flash_image_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let length = 450_560;
    let noise: Vec<u8> = (0..length)
        .map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for (what, bytes, says) in [
        (
            "short",
            b"not a flash image".to_vec(),
            "17 bytes long, but an image has exactly 450560",
        ),
        (
            "empty",
            Vec::new(),
            "0 bytes long, but an image has exactly 450560",
        ),
        ("zeros", vec![0; 450_560], "is no flash image of a pump"),
        ("noise", noise, "is no flash image of a pump"),
    ] {
        std::fs::write(&path, &bytes).expect("a file");
        let (status, error) = finished(&[
            "serve",
            "--port",
            "0",
            "--flash",
            path.to_str().expect("text"),
        ]);
        assert_eq!(status, Some(1), "{what}");
        assert!(
            error.contains("--flash")
                && error.contains(says)
                && error.contains("nothing was changed"),
            "{what}: {error}"
        );
        assert!(
            std::fs::read(&path).expect("a file") == bytes,
            "{what} was changed"
        );
    }
    let (status, error) = finished(&[
        "serve",
        "--port",
        "0",
        "--flash",
        folder.path().to_str().expect("text"),
    ]);
    assert_eq!(status, Some(1));
    assert!(
        error.contains("--flash") && error.contains("directory"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_served_is_refused_with_the_flag_to_change() {
    let server = serve(&[]);
    let (status, error) = finished(&["serve", "--port", &server.port.to_string()]);
    assert_eq!(status, Some(1));
    assert_eq!(
        error,
        format!(
            "error: port {} of 127.0.0.1 is in use; choose another with --port, or 0 for any free one\n",
            server.port
        )
    );
    let folder = tempfile::tempdir().expect("a folder");
    let (status, error) = finished(&[
        "serve",
        "--port",
        "0",
        "--page",
        folder.path().to_str().expect("text"),
    ]);
    assert_eq!(status, Some(1));
    assert!(
        error.contains("--page") && error.contains("holds no index.html"),
        "{error}"
    );
    let none = folder.path().join("none");
    let (status, error) = finished(&[
        "serve",
        "--port",
        "0",
        "--page",
        none.to_str().expect("text"),
    ]);
    assert_eq!(status, Some(1));
    assert!(
        error.contains("--page") && error.contains("is not a folder"),
        "{error}"
    );
}
