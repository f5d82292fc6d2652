//! The calls.

use std::{fmt, sync::Arc};

use reqwest::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    call::Call,
    config::{ClientConfig, ConfigError, Credentials},
    error::{Cause, Error},
    http::{Request, Transport},
    id, text,
    token::{Clock, Tokens},
    types::{
        AllAnswer, Balance, DeleteAnswer, HardwareType, Instance, InstanceAnswer, InstanceArgs,
        Model,
    },
};
use crate::runtime::clock;

/// A client of the Cortecs API for one owner's credentials. Clones share the credentials, the token and the connections.
///
/// Each HTTP request is bounded by the configured request time-out. A call may need a token first and, unless it is a
/// start or a restart, is repeated once with a new token after a 401. A start or restart therefore ends within two
/// request time-outs and is sent within the first of them, or not at all; with a token at hand (see
/// [`Client::verify_credentials`]) it is sent at once.
///
/// Ids go percent-encoded into URLs. Refused without a call are ids that are empty, `.`, `..` or longer than 256 bytes, and
/// ids of instances that name another endpoint, such as `delete-all`.
#[derive(Clone)]
pub struct Client {
    transport: Arc<Transport>,
    tokens: Tokens,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client; no call is made yet. The process must have installed a rustls provider.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Arc::new(clock::moment))
    }

    pub(super) fn with_clock(config: ClientConfig, clock: Clock) -> Result<Self, ConfigError> {
        let transport = Arc::new(Transport::new(&config)?);
        let tokens = Tokens::new(Arc::clone(&transport), config.credentials, clock);
        Ok(Self { transport, tokens })
    }

    /// Fetches a token if no valid one is held. [`RetryClass::Auth`](super::RetryClass::Auth) if the credentials are refused.
    pub async fn verify_credentials(&self) -> Result<(), Error> {
        match self.tokens.get().await {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::new(Call::Token, Cause::clone(&cause))),
        }
    }

    /// Swaps the credentials for all clones and forgets the token, also one that is being fetched.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.tokens.set_credentials(credentials);
    }

    /// The credentials that the client works with.
    pub fn credentials(&self) -> Credentials {
        self.tokens.credentials()
    }

    /// Whether the client works with exactly these credentials.
    pub fn uses(&self, credentials: &Credentials) -> bool {
        self.tokens.credentials().same_as(credentials)
    }

    /// Every instance of the owner. An error unless each entry parses and has an id of its own.
    pub async fn list_instances(&self) -> Result<Vec<Instance>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            instances: Vec<Instance>,
        }
        let request = get(Call::ListInstances, "/instances/");
        self.authorized(request, |body| {
            let list = json::<Answer>(body)?.instances;
            id::check_list(list.iter().map(|instance| instance.instance_id.as_str()))?;
            Ok(list)
        })
        .await
    }

    /// One instance. The API answers 400 for one that it does not know.
    pub async fn get_instance(&self, instance_id: &str) -> Result<Instance, Error> {
        #[derive(Deserialize)]
        struct Answer {
            instance: Instance,
        }
        let call = Call::GetInstance;
        let request = get(call, &instance_path(call, instance_id)?);
        self.authorized(request, |body| {
            same(json::<Answer>(body)?.instance, instance_id)
        })
        .await
    }

    /// Starts a new instance: one POST, never repeated. Each success makes a further billed instance.
    pub async fn start_instance(&self, args: &InstanceArgs) -> Result<Instance, Error> {
        let request = post(Call::StartInstance, "/instances/start", Some(args))?;
        self.authorized(request, |body| {
            let instance = json::<InstanceAnswer>(body)?.instance;
            id::check_answer(&instance.instance_id)?;
            Ok(instance)
        })
        .await
    }

    /// Restarts a stopped instance under its id: one POST, never repeated.
    pub async fn restart_instance(&self, instance_id: &str) -> Result<Instance, Error> {
        self.change(Call::RestartInstance, "/instances/restart", instance_id)
            .await
    }

    /// Stops an instance; it stays, unbilled.
    pub async fn stop_instance(&self, instance_id: &str) -> Result<Instance, Error> {
        self.change(Call::StopInstance, "/instances/stop", instance_id)
            .await
    }

    /// Stops every instance of the owner, whoever started it. The ids of those stopped.
    pub async fn stop_all(&self) -> Result<Vec<String>, Error> {
        let request = post::<()>(Call::StopAll, "/instances/stop-all", None)?;
        self.authorized(request, |body| Ok(json::<AllAnswer>(body)?.instance_ids))
            .await
    }

    /// Deletes a stopped instance. `Ok` only on a 200 that names it.
    pub async fn delete_instance(&self, instance_id: &str) -> Result<(), Error> {
        let call = Call::DeleteInstance;
        let path = instance_path(call, instance_id)?;
        self.authorized(request(call, Method::DELETE, &path), |body| {
            // An answer that does not name what was deleted may be a proxy's.
            match json::<DeleteAnswer>(body)?.instance_id {
                Some(deleted) if deleted == instance_id => Ok(()),
                Some(_) => Err(OTHER_INSTANCE.into()),
                None => Err("it does not name the instance".into()),
            }
        })
        .await
    }

    /// Deletes every stopped instance of the owner, with `force` the running ones too. The ids of those deleted.
    pub async fn delete_all(&self, force: bool) -> Result<Vec<String>, Error> {
        let path = if force {
            "/instances/delete-all?force_deletion=true"
        } else {
            "/instances/delete-all"
        };
        self.authorized(request(Call::DeleteAll, Method::DELETE, path), |body| {
            Ok(json::<AllAnswer>(body)?.instance_ids)
        })
        .await
    }

    /// The owner's balance.
    pub async fn balance(&self) -> Result<Balance, Error> {
        self.authorized(get(Call::Balance, "/user/balance"), json)
            .await
    }

    /// The catalog's models, without their hardware configurations. Needs no credentials.
    pub async fn list_models(&self) -> Result<Vec<Model>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            models: Vec<Model>,
        }
        self.open(get(Call::ListModels, "/models/"), |body| {
            let list = json::<Answer>(body)?.models;
            id::check_list(list.iter().map(start_id))?;
            Ok(list)
        })
        .await
    }

    /// One model, with its hardware configurations. Needs no credentials.
    pub async fn get_model(&self, model_id: &str) -> Result<Model, Error> {
        #[derive(Deserialize)]
        struct Answer {
            model: Model,
        }
        let call = Call::GetModel;
        id::check_argument(model_id).map_err(|cause| Error::new(call, cause))?;
        let request = get(call, &format!("/models/{}", id::segment(model_id)));
        self.open(request, |body| {
            let model = json::<Answer>(body)?.model;
            id::check_answer(start_id(&model))?;
            Ok(model)
        })
        .await
    }

    /// Every hardware type. Needs no credentials.
    pub async fn list_hardware_types(&self) -> Result<Vec<HardwareType>, Error> {
        self.hardware_types(Call::ListHardwareTypes, "/hardware-types/")
            .await
    }

    /// The hardware types that are free to be rented now. Needs no credentials.
    pub async fn list_available_hardware_types(&self) -> Result<Vec<HardwareType>, Error> {
        self.hardware_types(
            Call::ListAvailableHardwareTypes,
            "/hardware-types/available",
        )
        .await
    }

    async fn hardware_types(&self, call: Call, path: &str) -> Result<Vec<HardwareType>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            hardware_types: Vec<HardwareType>,
        }
        self.open(get(call, path), |body| {
            let list = json::<Answer>(body)?.hardware_types;
            id::check_list(list.iter().map(|kind| kind.hardware_type_id.as_str()))?;
            Ok(list)
        })
        .await
    }

    async fn change(&self, call: Call, path: &str, instance_id: &str) -> Result<Instance, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            instance_id: &'a str,
        }
        id::check_instance(instance_id).map_err(|cause| Error::new(call, cause))?;
        let request = post(call, path, Some(&Body { instance_id }))?;
        self.authorized(request, |body| {
            same(json::<InstanceAnswer>(body)?.instance, instance_id)
        })
        .await
    }

    /// A call without a token.
    async fn open<T>(
        &self,
        request: Request,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let call = request.call;
        let secrets = self.tokens.secrets();
        self.transport
            .exchange(request, None, &secrets, parse)
            .await
            .map_err(|cause| Error::new(call, cause))
    }

    /// A call with a token; repeated once with a new one after a 401 unless it starts something.
    async fn authorized<T>(
        &self,
        request: Request,
        parse: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let call = request.call;
        let mut may_repeat = !call.starts_billing();
        loop {
            let token = self.tokens.get().await;
            let token = token.map_err(|cause| Error::new(call, Cause::Token(cause)))?;
            let secrets = self.tokens.secrets();
            let result = self
                .transport
                .exchange(request.clone(), Some(&token.secret), &secrets, &parse)
                .await;
            if let Err(cause) = &result
                && cause.is_unauthorized()
            {
                self.tokens.forget(&token);
                if may_repeat {
                    may_repeat = false;
                    continue;
                }
            }
            return result.map_err(|cause| Error::new(call, cause));
        }
    }
}

const OTHER_INSTANCE: &str = "it is about another instance";

/// The id that a start takes.
fn start_id(model: &Model) -> &str {
    model.model_name.as_deref().unwrap_or(&model.model_id)
}

fn same(instance: Instance, instance_id: &str) -> Result<Instance, String> {
    if instance.instance_id == instance_id {
        Ok(instance)
    } else {
        Err(OTHER_INSTANCE.into())
    }
}

/// Parses an answer. The parser's own words are not used: they may quote the body.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if !text::is_object(body) {
        return Err("it is no JSON object".into());
    }
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "it ends early",
            serde_json::error::Category::Data => "it has an unexpected shape",
            _ => "it is not JSON",
        };
        format!("{what} (line {}, column {})", error.line(), error.column())
    })
}

fn instance_path(call: Call, instance_id: &str) -> Result<String, Error> {
    id::check_instance(instance_id).map_err(|cause| Error::new(call, cause))?;
    Ok(format!("/instances/{}", id::segment(instance_id)))
}

fn request(call: Call, method: Method, path: &str) -> Request {
    Request {
        call,
        method,
        path: path.to_owned(),
        body: None,
    }
}

fn get(call: Call, path: &str) -> Request {
    request(call, Method::GET, path)
}

fn post<B: Serialize>(call: Call, path: &str, body: Option<&B>) -> Result<Request, Error> {
    let body = body.map(serde_json::to_vec).transpose().map_err(|_| {
        let cause = Cause::Invalid("the arguments cannot be written as JSON");
        Error::new(call, cause)
    })?;
    Ok(Request {
        body,
        ..request(call, Method::POST, path)
    })
}
