//! The WebSocket: moves messages between a phone page and the machine, and knows nothing of what is inside.

use super::App;
use super::machine::{NoLink, Order, PHONE_QUEUE, ToPhone};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::Mtu;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

/// Longest message that can make sense: one attribute byte and 244 bytes; what is longer is cut off here.
const LONGEST_MESSAGE: usize = 512;
/// Close code: the phone did not take its messages.
const NOT_READING: u16 = 4000;
/// Close code: the pump has ended the connection.
const HUNG_UP: u16 = 4001;
/// Close code: the pump does not show itself.
const NOT_SHOWN: u16 = 4002;

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    mtu: Option<String>,
}

/// `GET /link`.
pub(super) async fn link(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let mtu = match parameters.mtu.as_deref() {
        None => Mtu::HIGHEST,
        Some(text) => match text.parse().ok().and_then(Mtu::new) {
            Some(mtu) => mtu,
            None => {
                let reason = format!(
                    "mtu: {text:?} is not allowed; a whole number from {} to {}\n",
                    Mtu::LOWEST.bytes(),
                    Mtu::HIGHEST.bytes()
                );
                return (StatusCode::BAD_REQUEST, reason).into_response();
            }
        },
    };
    upgrade
        .max_message_size(LONGEST_MESSAGE)
        .max_frame_size(LONGEST_MESSAGE)
        .on_upgrade(move |socket| carry(socket, app, mtu))
}

async fn carry(mut socket: WebSocket, app: App, mtu: Mtu) {
    let (phone, mut messages) = mpsc::channel(PHONE_QUEUE);
    let (answer, connection) = oneshot::channel();
    let asked = app.orders.send(Order::Connect { mtu, phone, answer });
    let connection = match (asked, connection.await) {
        (Ok(()), Ok(Ok(connection))) => connection,
        (Ok(()), Ok(Err(NoLink::NotShown))) => {
            close(
                &mut socket,
                NOT_SHOWN,
                "the pump does not show itself: phones came that it did not let in. A magnet held over it for 3 s changes that",
            )
            .await;
            return;
        }
        (Ok(()), Ok(Err(NoLink::Taken))) => {
            close(
                &mut socket,
                close_code::AGAIN,
                "another phone is connected: the pump has one link",
            )
            .await;
            return;
        }
        (Ok(()) | Err(_), _) => {
            close(
                &mut socket,
                close_code::AWAY,
                "the virtual pump is stopping",
            )
            .await;
            return;
        }
    };
    let mut stopping = app.stopping.clone();
    let (code, reason): (u16, Utf8Bytes) = loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(ToPhone::Message(message)) => {
                    if socket.send(Message::Binary(message.into())).await.is_err() {
                        break (close_code::NORMAL, "".into());
                    }
                }
                Some(ToPhone::HungUp(over)) => break (HUNG_UP, over.to_string().into()),
                None => break (NOT_READING, "the phone did not take its messages".into()),
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Binary(message))) => {
                    let message = message.to_vec();
                    if app.orders.send(Order::Message { connection, message }).is_err() {
                        break (close_code::AWAY, "the virtual pump is stopping".into());
                    }
                }
                Some(Ok(Message::Text(_))) => break (close_code::UNSUPPORTED, "the link carries binary messages only".into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => break (close_code::NORMAL, "".into()),
                Some(Err(_)) => break (close_code::SIZE, "a message longer than any attribute value".into()),
            },
            () = stopped(&mut stopping) => break (close_code::AWAY, "the virtual pump is stopping".into()),
        }
    };
    // The machine may have ended already.
    let _ = app.orders.send(Order::Disconnect { connection });
    close(&mut socket, code, reason).await;
}

/// Ends when the server stops.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to say so: the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn close(socket: &mut WebSocket, code: u16, reason: impl Into<Utf8Bytes>) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    // The other side may have gone.
    let _ = socket.send(Message::Close(Some(frame))).await;
}
