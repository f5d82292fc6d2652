//! The calls of the API: each takes a request, changes the world and returns an answer. No I/O.

use std::time::Duration;

use cortecs_api::types::Instance;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    endpoint::Endpoint,
    start::{self, StartBody},
    world::{Refusal, World},
};

/// The parts of a request that matter to the API.
pub(super) struct Call {
    pub(super) endpoint: Endpoint,
    /// The id that the path ends in.
    pub(super) id: Option<String>,
    pub(super) bearer: Option<String>,
    /// `force_deletion` of the query.
    pub(super) force: bool,
    /// The parsed body; absent if the body is empty or not JSON.
    pub(super) body: Option<Value>,
}

/// A status and a JSON body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body }
    }

    pub(super) fn message(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, json!({ "message": message.into() }))
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::message(400, refusal.0)
    }
}

impl Call {
    /// The client id that the call acts for, if its credentials name a known one.
    pub(super) fn account(&self, world: &World, now: Duration) -> Option<String> {
        if self.endpoint == Endpoint::Token {
            let id = self.body.as_ref()?.get("client_id")?.as_str()?;
            return world.access.owner(id).map(|_| id.to_owned());
        }
        let client_id = world.access.authenticate(self.bearer.as_deref()?, now)?;
        Some(client_id.to_owned())
    }

    /// The model that the call is about: the model of a start, or the model of the instance that the call names.
    pub(super) fn model<'a>(&'a self, world: &'a World) -> Option<&'a str> {
        let field = |name: &str| self.body.as_ref()?.get(name)?.as_str();
        match self.endpoint {
            Endpoint::Start => field("model_id"),
            Endpoint::Restart | Endpoint::Stop => world.model_of(field("instance_id")?),
            Endpoint::GetInstance | Endpoint::Delete => world.model_of(self.id.as_deref()?),
            Endpoint::GetModel => self.id.as_deref(),
            _ => None,
        }
    }

    /// Carries the call out.
    pub(super) fn perform(&self, world: &mut World, now: Duration) -> Answer {
        let client_id = if self.endpoint.needs_token() {
            match self.account(world, now) {
                Some(client_id) => client_id,
                None => return Answer::message(401, "Bearer token missing or invalid"),
            }
        } else {
            String::new()
        };
        self.dispatch(&client_id, world, now)
            .unwrap_or_else(Answer::from)
    }

    fn dispatch(
        &self,
        client_id: &str,
        world: &mut World,
        now: Duration,
    ) -> Result<Answer, Refusal> {
        let id = self.id.as_deref().unwrap_or_default();
        Ok(match self.endpoint {
            Endpoint::Token => self.token(world, now)?,
            Endpoint::ListInstances => {
                let instances = world.list(client_id, now);
                let instances: Vec<_> = instances.into_iter().map(|i| shown(i, world)).collect();
                Answer::new(200, json!({ "instances": instances }))
            }
            Endpoint::GetInstance => {
                let instance = shown(world.get(client_id, id, now)?, world);
                Answer::new(200, json!({ "instance": instance }))
            }
            Endpoint::Start => {
                let args = start::resolve(self.parse::<StartBody>()?, &world.catalog)?;
                let instance = world.start(client_id, args, now, false)?;
                about(202, "Instance is starting", instance, world)
            }
            Endpoint::Restart => {
                let instance = world.restart(client_id, &self.instance_id()?, now)?;
                about(202, "Instance is restarting", instance, world)
            }
            Endpoint::Stop => {
                let instance = world.stop(client_id, &self.instance_id()?, now)?;
                about(200, "Instance stopped", instance, world)
            }
            Endpoint::StopAll => {
                let ids = world.stop_all(client_id, now);
                Answer::new(
                    200,
                    json!({ "message": "Instances stopped", "instance_ids": ids }),
                )
            }
            Endpoint::Delete => {
                world.delete(client_id, id, now)?;
                Answer::new(
                    200,
                    json!({ "message": "Instance deleted", "instance_id": id }),
                )
            }
            Endpoint::DeleteAll => {
                let ids = world.delete_all(client_id, self.force, now);
                Answer::new(
                    200,
                    json!({ "message": "Instances deleted", "instance_ids": ids }),
                )
            }
            Endpoint::Balance => Answer::new(200, json!(world.balance(client_id, now))),
            Endpoint::ListModels => Answer::new(200, json!({ "models": world.catalog.models() })),
            Endpoint::GetModel => match world.catalog.model(id) {
                Some(model) => Answer::new(200, json!({ "model": model })),
                None => return Err(Refusal(format!("Unknown model {id}"))),
            },
            Endpoint::HardwareTypes => Answer::new(
                200,
                json!({ "hardware_types": world.catalog.hardware_types() }),
            ),
            Endpoint::AvailableHardwareTypes => {
                Answer::new(200, json!({ "hardware_types": world.available_hardware() }))
            }
            Endpoint::Unknown => Answer::message(404, "Not found"),
        })
    }

    fn token(&self, world: &mut World, now: Duration) -> Result<Answer, Refusal> {
        #[derive(Deserialize)]
        struct Body {
            grant_type: Option<String>,
            client_id: Option<String>,
            client_secret: Option<String>,
        }
        let body: Body = self.parse()?;
        if body.grant_type.as_deref() != Some("client_credentials") {
            return Err(Refusal::new("grant_type must be client_credentials"));
        }
        let (Some(id), Some(secret)) = (body.client_id, body.client_secret) else {
            return Err(Refusal::new("client_id and client_secret are required"));
        };
        Ok(match world.access.issue_token(&id, &secret, now) {
            Some(token) => Answer::new(
                200,
                json!({
                    "access_token": token,
                    "token_type": "Bearer",
                    "expires_in": world.access.token_lifetime().as_secs(),
                }),
            ),
            None => Answer::message(401, "Invalid client credentials"),
        })
    }

    fn instance_id(&self) -> Result<String, Refusal> {
        #[derive(Deserialize)]
        struct Body {
            instance_id: Option<String>,
        }
        let body: Body = self.parse()?;
        body.instance_id
            .ok_or_else(|| Refusal::new("instance_id is required"))
    }

    /// The reason stays out of the message: serde quotes the input, and that may be a secret.
    fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Refusal> {
        let body = self.body.as_ref().filter(|body| body.is_object());
        body.and_then(|body| T::deserialize(body).ok())
            .ok_or_else(|| Refusal::new("The request body is not valid"))
    }
}

fn about(status: u16, message: &str, instance: Instance, world: &World) -> Answer {
    Answer::new(
        status,
        json!({ "message": message, "instance": shown(instance, world) }),
    )
}

fn shown(mut instance: Instance, world: &World) -> Instance {
    for field in &world.omits {
        field.leave_out(&mut instance);
    }
    instance
}
