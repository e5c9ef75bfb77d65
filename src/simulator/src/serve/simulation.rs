//! `/simulation`: how time runs, the magnet, and the paper that comes with the pump. Not part of the pump.

use super::App;
use super::machine::{Change, Order, State as Now};
use super::pace::{HIGHEST_SPEED, LOWEST_SPEED};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

#[derive(Debug, Serialize)]
struct Simulation {
    speed: u32,
    lowest_speed: u32,
    highest_speed: u32,
    simulated_ms: u64,
    running_since_unix_ms: u64,
    keeping_up: bool,
    magnet: bool,
    armed: bool,
    flash: &'static str,
}

/// `GET /simulation`.
pub(super) async fn show(State(app): State<App>) -> Response {
    ask(&app, Change::default()).await
}

/// `GET /simulation/pack`.
pub(super) async fn pack(State(app): State<App>) -> Response {
    let (answer, paper) = oneshot::channel();
    let asked = app.orders.send(Order::Paper { answer });
    match (asked, paper.await) {
        (Ok(()), Ok(Some(text))) => Json(json!({ "text": text })).into_response(),
        (Ok(()), Ok(None)) => refuse(
            StatusCode::NOT_FOUND,
            "the text that came with this pump is not kept beside its flash image",
        ),
        (Ok(()) | Err(_), _) => stopping(),
    }
}

/// `POST /simulation`.
pub(super) async fn change(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type: application/json is needed",
        );
    }
    match wanted(&body) {
        Ok(change) => ask(&app, change).await,
        Err(reason) => refuse(StatusCode::BAD_REQUEST, &reason),
    }
}

/// What is to change: at least one of the fields that there are.
fn wanted(body: &[u8]) -> Result<Change, String> {
    let allowed = format!("a whole number from {LOWEST_SPEED} to {HIGHEST_SPEED}");
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    let something =
        || format!("expected {{\"speed\": N}}, N {allowed}, or {{\"magnet\": true or false}}");
    let fields = value.as_object().ok_or_else(something)?;
    let mut change = Change::default();
    for (name, value) in fields {
        match name.as_str() {
            "speed" => {
                let speed = value
                    .as_u64()
                    .and_then(|speed| u32::try_from(speed).ok())
                    .filter(|speed| (LOWEST_SPEED..=HIGHEST_SPEED).contains(speed))
                    .ok_or_else(|| format!("speed: {value} is not allowed; {allowed}"))?;
                change.speed = Some(speed);
            }
            "magnet" => {
                let held = value
                    .as_bool()
                    .ok_or_else(|| format!("magnet: {value} is not allowed; true or false"))?;
                change.magnet = Some(held);
            }
            other => return Err(format!("{other}: unknown field; allowed: speed, magnet")),
        }
    }
    if change == Change::default() {
        return Err(something());
    }
    Ok(change)
}

async fn ask(app: &App, change: Change) -> Response {
    let (answer, now) = oneshot::channel();
    let asked = app.orders.send(Order::Simulation { change, answer });
    let (Ok(()), Ok(now)) = (asked, now.await) else {
        return stopping();
    };
    let Now {
        speed,
        magnet,
        armed,
        simulated,
        keeping_up,
    } = now;
    Json(Simulation {
        speed,
        lowest_speed: LOWEST_SPEED,
        highest_speed: HIGHEST_SPEED,
        simulated_ms: simulated.millis_rounded_down(),
        running_since_unix_ms: app.since_unix_ms,
        keeping_up,
        magnet,
        armed,
        flash: if app.flash_is_kept { "file" } else { "memory" },
    })
    .into_response()
}

fn stopping() -> Response {
    refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        "the virtual pump is stopping",
    )
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({ "error": reason }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::{Change, wanted};

    fn speed(speed: u32) -> Change {
        Change {
            speed: Some(speed),
            magnet: None,
        }
    }

    #[test]
    fn what_is_allowed_is_taken() {
        assert_eq!(wanted(br#"{"speed": 1}"#), Ok(speed(1)));
        assert_eq!(wanted(br#" {"speed":100000} "#), Ok(speed(100_000)));
        for held in [true, false] {
            let magnet = Some(held);
            let only = Change {
                speed: None,
                magnet,
            };
            let body = format!("{{\"magnet\": {held}}}");
            assert_eq!(wanted(body.as_bytes()), Ok(only));
            let both = Change {
                speed: Some(7),
                magnet,
            };
            let body = format!("{{\"magnet\": {held}, \"speed\": 7}}");
            assert_eq!(wanted(body.as_bytes()), Ok(both));
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_is_allowed() {
        for bad in [
            "0",
            "100001",
            "-1",
            "1.5",
            "\"10\"",
            "null",
            "4294967297",
            "[1]",
        ] {
            let reason = wanted(format!("{{\"speed\": {bad}}}").as_bytes()).expect_err(bad);
            assert!(reason.starts_with("speed: "), "{reason}");
            assert!(
                reason.ends_with("is not allowed; a whole number from 1 to 100000"),
                "{reason}"
            );
        }
        for bad in ["0", "1", "3", "\"true\"", "null"] {
            let reason = wanted(format!("{{\"magnet\": {bad}}}").as_bytes()).expect_err(bad);
            assert_eq!(
                reason,
                format!("magnet: {bad} is not allowed; true or false")
            );
        }
        assert_eq!(
            wanted(br#"{"speed": 1, "sped": 2}"#),
            Err("sped: unknown field; allowed: speed, magnet".to_owned())
        );
        for nothing in ["{}", "[]", "1"] {
            let reason = wanted(nothing.as_bytes()).expect_err(nothing);
            assert!(
                reason.starts_with("expected {\"speed\": N}, N a whole number from 1 to 100000"),
                "{reason}"
            );
        }
        assert!(wanted(b"").is_err_and(|reason| reason.starts_with("not JSON")));
    }
}
