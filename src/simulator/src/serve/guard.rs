//! Who may speak to the server: this machine's own pages and programs, and no other web site.
//!
//! The server listens on loopback only, but any page a browser shows could still try to reach it. A foreign `Origin` on what
//! changes something, and a `Host` that is not ours (a name that resolves to 127.0.0.1: DNS rebinding), are refused.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The names under which this server may be addressed.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    hosts: [String; 2],
}

impl Guard {
    pub(super) fn new(port: u16) -> Self {
        Self {
            hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
        }
    }

    /// Nothing, or why not.
    fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), &'static str> {
        let ours = |name: &str| {
            self.hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(name))
        };
        match only(headers, &header::HOST) {
            Some(host) if ours(host) => {}
            Some(_) | None => {
                return Err(
                    "this is not the address of the virtual pump: use 127.0.0.1 or localhost with its port",
                );
            }
        }
        // The pack tells secrets. A browser would not let another site read them; here it does not even get them.
        let changes = path == "/link"
            || path == "/simulation/pack"
            || !(method == Method::GET || method == Method::HEAD);
        if changes && headers.contains_key(header::ORIGIN) {
            let origin =
                only(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
            if !origin.is_some_and(ours) {
                return Err("pages of other sites may not speak to the virtual pump");
            }
        }
        Ok(())
    }
}

/// A header that stands there once and is text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// Lets a request through or answers 403.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.method(), request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn check(method: Method, path: &str, headers: &[(HeaderName, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        Guard::new(8480).check(&method, path, &map).is_ok()
    }

    const HOST: (HeaderName, &str) = (header::HOST, "127.0.0.1:8480");

    #[test]
    fn our_own_pages_and_programs_are_let_in() {
        for host in ["127.0.0.1:8480", "localhost:8480", "LocalHost:8480"] {
            assert!(check(Method::GET, "/", &[(header::HOST, host)]), "{host}");
        }
        for origin in ["http://127.0.0.1:8480", "http://localhost:8480"] {
            assert!(
                check(Method::GET, "/link", &[HOST, (header::ORIGIN, origin)]),
                "{origin}"
            );
            assert!(
                check(
                    Method::POST,
                    "/simulation",
                    &[HOST, (header::ORIGIN, origin)]
                ),
                "{origin}"
            );
        }
        assert!(check(Method::GET, "/link", &[HOST]));
        assert!(check(Method::POST, "/simulation", &[HOST]));
    }

    #[test]
    fn a_foreign_host_is_refused_everywhere() {
        for host in [
            "evil.example:8480",
            "127.0.0.1:80",
            "127.0.0.1",
            "localhost.evil.example:8480",
            "",
        ] {
            for path in ["/", "/link", "/simulation", "/simulation/pack"] {
                assert!(
                    !check(Method::GET, path, &[(header::HOST, host)]),
                    "{host} {path}"
                );
            }
        }
        assert!(!check(Method::GET, "/", &[]));
        assert!(!check(Method::GET, "/", &[HOST, HOST]));
    }

    #[test]
    fn a_foreign_origin_may_change_nothing() {
        let foreign = [
            "http://evil.example",
            "null",
            "https://127.0.0.1:8480",
            "http://127.0.0.1:81",
            "http://localhost",
            "",
        ];
        for origin in foreign {
            assert!(
                !check(Method::GET, "/link", &[HOST, (header::ORIGIN, origin)]),
                "{origin}"
            );
            for (method, path) in [
                (Method::POST, "/simulation"),
                (Method::GET, "/simulation/pack"),
            ] {
                assert!(
                    !check(method, path, &[HOST, (header::ORIGIN, origin)]),
                    "{origin} {path}"
                );
            }
        }
        let ours = (header::ORIGIN, "http://localhost:8480");
        assert!(!check(Method::GET, "/link", &[HOST, ours.clone(), ours]));
    }
}
