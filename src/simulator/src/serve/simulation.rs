//! `/simulation`: how time runs. Not part of the pump.

use super::App;
use super::machine::{Order, State as Time};
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
    flash: &'static str,
}

/// `GET /simulation`.
pub(super) async fn show(State(app): State<App>) -> Response {
    ask(&app, None).await
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
    match speed(&body) {
        Ok(speed) => ask(&app, Some(speed)).await,
        Err(reason) => refuse(StatusCode::BAD_REQUEST, &reason),
    }
}

/// The speed asked for; the only field there is.
fn speed(body: &[u8]) -> Result<u32, String> {
    let allowed = format!("a whole number from {LOWEST_SPEED} to {HIGHEST_SPEED}");
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    let fields = value
        .as_object()
        .ok_or_else(|| format!("expected {{\"speed\": N}}, N {allowed}"))?;
    if let Some(other) = fields.keys().find(|field| field.as_str() != "speed") {
        return Err(format!("{other}: unknown field; allowed: speed"));
    }
    let speed = fields
        .get("speed")
        .ok_or_else(|| format!("speed: missing; {allowed}"))?;
    speed
        .as_u64()
        .and_then(|speed| u32::try_from(speed).ok())
        .filter(|speed| (LOWEST_SPEED..=HIGHEST_SPEED).contains(speed))
        .ok_or_else(|| format!("speed: {speed} is not allowed; {allowed}"))
}

async fn ask(app: &App, speed: Option<u32>) -> Response {
    let (answer, time) = oneshot::channel();
    let asked = app.orders.send(Order::Speed { speed, answer });
    let (Ok(()), Ok(time)) = (asked, time.await) else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the virtual pump is stopping",
        );
    };
    let Time {
        speed,
        simulated,
        keeping_up,
    } = time;
    Json(Simulation {
        speed,
        lowest_speed: LOWEST_SPEED,
        highest_speed: HIGHEST_SPEED,
        simulated_ms: simulated.millis_rounded_down(),
        running_since_unix_ms: app.since_unix_ms,
        keeping_up,
        flash: if app.flash_is_kept { "file" } else { "memory" },
    })
    .into_response()
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({ "error": reason }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::speed;

    #[test]
    fn speeds_within_the_limits_are_taken() {
        assert_eq!(speed(br#"{"speed": 1}"#), Ok(1));
        assert_eq!(speed(br#" {"speed":100000} "#), Ok(100_000));
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
            let reason = speed(format!("{{\"speed\": {bad}}}").as_bytes()).expect_err(bad);
            assert!(reason.starts_with("speed: "), "{reason}");
            assert!(
                reason.ends_with("is not allowed; a whole number from 1 to 100000"),
                "{reason}"
            );
        }
        assert_eq!(
            speed(b"{}"),
            Err("speed: missing; a whole number from 1 to 100000".to_owned())
        );
        assert_eq!(
            speed(br#"{"speed": 1, "sped": 2}"#),
            Err("sped: unknown field; allowed: speed".to_owned())
        );
        assert!(speed(b"[]").is_err());
        assert!(speed(b"").is_err_and(|reason| reason.starts_with("not JSON")));
    }
}
