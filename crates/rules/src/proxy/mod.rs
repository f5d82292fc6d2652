//! Through which proxy a server is reached, by the environment and the kubeconfig.
//!
//! | file | what it has |
//! |---|---|
//! | [`address`] | one proxy: what is read from its URL, and what is wrong with it |
//! | [`exceptions`] | `NO_PROXY`: what is reached without a proxy |
//!
//! The rules are those of `kubectl`: a `proxy-url` of the kubeconfig always counts; the variables of the environment do not
//! count for this machine itself, nor for what `NO_PROXY` names. Besides, a pod reaches the API server of its own cluster without
//! a proxy: the variables are there for what is outside.

pub mod address;
pub mod exceptions;

use std::fmt;

use url::{Host, Url};

use self::{
    address::{Proxy, Source},
    exceptions::Exceptions,
};

/// What the environment says about proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    https: Option<Variable>,
    http: Option<Variable>,
    all: Option<Variable>,
    except: Exceptions,
}

/// How the API server was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// By the service account of the pod.
    Pod,
    /// By a kubeconfig, with the `proxy-url` of its cluster.
    Kubeconfig { proxy_url: Option<&'a str> },
}

/// A variable that is set. Its value may hold a password.
#[derive(Clone)]
struct Variable {
    name: &'static str,
    value: String,
}

impl Proxies {
    /// Reads the variables by `get`. An empty one counts as unset, and the spelling in capitals comes first.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = get(name)?.trim().to_owned();
                (!value.is_empty()).then_some(Variable { name, value })
            })
        };
        let except = first(["NO_PROXY", "no_proxy"]);
        Self {
            https: first(["HTTPS_PROXY", "https_proxy"]),
            http: first(["HTTP_PROXY", "http_proxy"]),
            all: first(["ALL_PROXY", "all_proxy"]),
            except: except
                .map(|it| Exceptions::read(&it.value))
                .unwrap_or_default(),
        }
    }

    /// The proxy for the server of `url`, if there is one. Only http and https have proxies.
    ///
    /// # Errors
    /// One sentence: which variable is wrong, and what to do. It never repeats a user name or password.
    pub fn for_url(&self, url: &str) -> Result<Option<Proxy>, String> {
        let Ok(url) = Url::parse(url) else {
            return Ok(None);
        };
        let variable = match url.scheme() {
            "https" => self.https.as_ref().or(self.all.as_ref()),
            "http" => self.http.as_ref().or(self.all.as_ref()),
            _ => None,
        };
        match variable {
            Some(variable) if !is_this_machine(&url) && !self.except.contains(&url) => {
                Proxy::read(&variable.value, Source::Variable(variable.name)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The proxy for the cluster's API server at `url`.
    ///
    /// # Errors
    /// One sentence: which setting is wrong, and what to do. It never repeats a user name or password.
    pub fn for_cluster(&self, url: &str, access: Access<'_>) -> Result<Option<Proxy>, String> {
        let Access::Kubeconfig { proxy_url } = access else {
            return Ok(None);
        };
        match proxy_url.map(str::trim).filter(|url| !url.is_empty()) {
            Some(proxy) => Proxy::read(proxy, Source::Kubeconfig).map(Some),
            None => self.for_url(url),
        }
    }
}

/// A proxy elsewhere would look for the server on its own machine.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests;
