//! A connection that breaks at the worst moment: stands between `thecal` and a virtual pump, and passes everything on until it is told to
//! lose something.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lose {
    Nothing,
    /// What `thecal` sends next: the pump never has it.
    Request,
    /// What the pump says next: it has done what it was asked.
    Answer,
}

/// How things stand.
#[derive(Debug)]
struct State {
    lose: Lose,
    /// Whether somebody gets through after the loss.
    reachable_then: bool,
    reachable: bool,
}

/// Stands between.
pub struct Cutter {
    /// Where `thecal` connects to.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Cutter {
    /// Stands before the pump at this port of 127.0.0.1. Its threads end with the test's process.
    pub fn before(pump: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State {
            lose: Lose::Nothing,
            reachable_then: true,
            reachable: true,
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for phone in listener.incoming().flatten() {
                // Whoever is not let through finds the connection closed.
                if with(&shared, |state| state.reachable) {
                    join(phone, port, pump, &shared);
                }
            }
        });
        Self { port, state }
    }

    /// The next of this is lost, and the connection with it.
    pub fn lose(&self, lose: Lose, reachable_then: bool) {
        with(&self.state, |state| {
            state.lose = lose;
            state.reachable_then = reachable_then;
        });
    }

    /// Lets everybody through again.
    pub fn mend(&self) {
        with(&self.state, |state| state.reachable = true);
    }

    /// What was to be lost is lost.
    pub fn has_lost(&self) -> bool {
        with(&self.state, |state| state.lose == Lose::Nothing)
    }
}

fn with<T>(state: &Mutex<State>, look: impl FnOnce(&mut State) -> T) -> T {
    look(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Passes on what goes either way.
fn join(mut phone: TcpStream, port: u16, pump_port: u16, state: &Arc<Mutex<State>>) {
    let Ok(mut pump) = TcpStream::connect(("127.0.0.1", pump_port)) else {
        return;
    };
    // The pump goes by its own address only.
    let own = format!("127.0.0.1:{port}");
    let request = head(&mut phone).replace(&own, &format!("127.0.0.1:{pump_port}"));
    if pump.write_all(request.as_bytes()).is_err() {
        return;
    }
    for (from, to, way) in [
        (&phone, &pump, Lose::Request),
        (&pump, &phone, Lose::Answer),
    ] {
        let (from, to) = (from.try_clone(), to.try_clone());
        let (Ok(from), Ok(to)) = (from, to) else {
            return;
        };
        let state = Arc::clone(state);
        thread::spawn(move || pass(from, to, way, &state));
    }
}

/// The head of the HTTP request that opens a link.
fn head(phone: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(phone.read(&mut byte), Ok(1)) {
        head.extend(byte);
    }
    String::from_utf8(head).expect("a head of text")
}

fn pass(mut from: TcpStream, mut to: TcpStream, way: Lose, state: &Mutex<State>) {
    let mut bytes = [0; 4096];
    while let Ok(count) = from.read(&mut bytes) {
        let lost = with(state, |state| {
            let lost = count > 0 && state.lose == way;
            if lost {
                state.lose = Lose::Nothing;
                state.reachable = state.reachable_then;
            }
            lost
        });
        if count == 0 || lost || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}
