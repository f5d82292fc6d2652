-- The health that Argo CD shows for an object: health() is the script in deploy/gitops/argocd/health.yaml.
local function is(wanted, generation, conditions, observed)
  local obj = {metadata = {generation = generation}, status = {observedGeneration = observed or generation, conditions = conditions}}
  local found = health(obj)
  assert(found.status == wanted, "expected " .. wanted .. ", got " .. found.status)
  assert(found.message, "no message")
end
local ready = {type = "Ready", status = "True", message = "runs"}
local unready = {type = "Ready", status = "False", message = "not yet"}

assert(health({metadata = {generation = 1}}).status == "Progressing")
is("Progressing", 1, nil, -1)
is("Progressing", 2, {ready}, 1)
is("Progressing", 1, {unready, {type = "Reconciling", status = "True", message = "starts"}})
is("Degraded", 1, {unready, {type = "Stalled", status = "True", message = "a person must act"}})
is("Healthy", 1, {ready, {type = "Available", status = "True", message = "usable"}})
is("Suspended", 1, {unready})
