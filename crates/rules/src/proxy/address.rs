//! One proxy: what is read from its URL, and what is wrong with it.

use std::fmt;

use url::Url;

/// A proxy. Neither `Debug` nor `Display` shows its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    protocol: Protocol,
    /// `USER:PASSWORD@`, encoded as in a URL; or nothing.
    credentials: String,
    place: String,
    source: Source,
}

/// What a client and a proxy speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    /// Http in TLS.
    Https,
    /// SOCKS 5. The proxy resolves the names of servers.
    Socks,
}

/// Where a proxy is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A variable of the environment.
    Variable(&'static str),
    /// `proxy-url` of a cluster in the kubeconfig.
    Kubeconfig,
}

impl Proxy {
    /// Reads the URL of a proxy. As elsewhere, `http://` may be left out, and the port too.
    ///
    /// # Errors
    /// One sentence: what is wrong, and what to do. It never repeats a user name or password.
    pub(super) fn read(text: &str, source: Source) -> Result<Self, String> {
        Self::parse(text, source).map_err(|problem| {
            format!(
                "{source} names no proxy that can be used: {problem}. Write it like http://proxy.example:3128 or \
                 socks5://proxy.example:1080, or remove it"
            )
        })
    }

    fn parse(text: &str, source: Source) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (protocol, scheme, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Protocol::Http, "http", 80),
            "https" => (Protocol::Https, "https", 443),
            "socks5" | "socks5h" => (Protocol::Socks, "socks5h", 1080),
            other => return Err(unknown_scheme(other)),
        };
        // What follows such a character is no part of the host, and what precedes it would be taken for the host.
        let ends = rest.find(['/', '?', '#', '\\']);
        if ends.is_some_and(|at| rest[at..].contains('@')) {
            return Err(
                "the user name or the password has one of the characters / ? # \\: write it as %2F, %3F, %23 or %5C"
                    .to_owned(),
            );
        }
        let authority = &rest[..ends.unwrap_or(rest.len())];
        let url = Url::parse(&format!("{scheme}://{authority}"))
            .map_err(|error| format!("it is not a URL ({error})"))?;
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() {
            return Err("it names no host".to_owned());
        }
        let port = url.port().unwrap_or(usual_port);
        if port == 0 {
            return Err("its port is 0".to_owned());
        }
        let credentials = match (url.username(), url.password()) {
            ("", None) => String::new(),
            (user, password) => format!("{user}:{}@", password.unwrap_or_default()),
        };
        Ok(Self {
            protocol,
            credentials,
            place: format!("{host}:{port}"),
            source,
        })
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Host and port, which may be shown.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The URL with the credentials, which may not be shown.
    pub fn url_with_credentials(&self) -> String {
        let scheme = match self.protocol {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Socks => "socks5h",
        };
        format!("{scheme}://{}{}", self.credentials, self.place)
    }
}

/// The scheme is shown if it looks like one: what is wrong may also be a password with `://`.
fn unknown_scheme(scheme: &str) -> String {
    let looks_like_one = !scheme.is_empty()
        && scheme.len() <= 8
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let shown = match looks_like_one {
        true => format!("its scheme is `{scheme}`"),
        false => "it begins with no scheme".to_owned(),
    };
    format!("{shown}, and a proxy has http, https or socks5")
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} of {}", self.place, self.source)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Kubeconfig => f.write_str("proxy-url in the kubeconfig"),
        }
    }
}
