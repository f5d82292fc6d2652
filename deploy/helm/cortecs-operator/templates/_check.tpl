{{/* Checks that the schema cannot express. */}}
{{- define "cortecs.check" -}}
{{- $least := mul 4 .Values.config.requestTimeoutSeconds }}
{{- if lt (int .Values.config.settleSeconds) (int $least) }}
{{- fail (printf "config.settleSeconds is %d but must be at least %d, four times config.requestTimeoutSeconds" (int .Values.config.settleSeconds) (int $least)) }}
{{- end }}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) }}
{{- fail "several replicas need leaderElection.enabled: two replicas that act at once start instances twice" }}
{{- end }}
{{- if and .Values.reaper.enabled (not .Values.leaderElection.enabled) }}
{{- fail "reaper.enabled needs leaderElection.enabled: without a Lease nobody can tell whether an operator acts" }}
{{- end }}
{{- if .Values.reaper.enabled }}
{{- include "cortecs.checkReaper" . }}
{{- end }}
{{- $watched := (include "cortecs.watched" . | fromJson).names }}
{{- with include "cortecs.defaultAccount" . }}
{{- $namespace := splitList "/" . | first }}
{{- if and $watched (not (has $namespace $watched)) }}
{{- fail (printf "the default account %s is in a namespace that the operator does not watch: add the namespace to watchNamespaces" .) }}
{{- end }}
{{- end }}
{{- $seen := list }}
{{- range .Values.rbac.secrets }}
{{- if and $watched (not (has .namespace $watched)) }}
{{- fail (printf "rbac.secrets: the operator does not watch namespace %s: add it to watchNamespaces" .namespace) }}
{{- end }}
{{- if has .namespace $seen }}
{{- fail (printf "rbac.secrets: namespace %s is listed twice: put its names into one entry" .namespace) }}
{{- end }}
{{- $seen = append $seen .namespace }}
{{- end }}
{{- if and .Values.singleNamespace (or .Values.admission.orphan.enabled .Values.admission.maxWorkers.enabled) }}
{{- fail "admission policies are cluster-scoped: a release with singleNamespace has none" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "set either serviceMonitor.enabled or podMonitor.enabled: with both, every metric would be counted twice" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) }}
{{- fail "serviceMonitor.enabled needs service.enabled" }}
{{- end }}
{{- if and .Values.caBundle.configMap .Values.caBundle.secret }}
{{- fail "set either caBundle.configMap or caBundle.secret: the operator reads one file" }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if and .enabled (not (or (kindIs "invalid" .minAvailable) (kindIs "invalid" .maxUnavailable))) }}
{{- fail "set either podDisruptionBudget.minAvailable or podDisruptionBudget.maxUnavailable: Kubernetes accepts only one" }}
{{- end }}
{{- end }}
{{- $own := list }}
{{- range include "cortecs.env" . | fromYamlArray }}
{{- $own = append $own .name }}
{{- end }}
{{- $names := list }}
{{- range .Values.extraEnv }}
{{- if has .name $own }}
{{- fail (printf "extraEnv: the chart sets %s itself: use the chart's values for it" .name) }}
{{- end }}
{{- if has .name $names }}
{{- fail (printf "extraEnv: %s is listed twice" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- with (.Values.updateStrategy).rollingUpdate }}
{{- if and (eq $.Values.updateStrategy.type "RollingUpdate") (has (toString .maxSurge) (list "0" "0%")) (has (toString .maxUnavailable) (list "0" "0%")) }}
{{- fail "updateStrategy.rollingUpdate: maxSurge and maxUnavailable are 0, so no pod could ever be replaced" }}
{{- end }}
{{- end }}
{{- $alerts := list }}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups }}
{{- range .rules }}
{{- $alerts = append $alerts .alert }}
{{- end }}
{{- end }}
{{- range .Values.prometheusRule.disabled }}
{{- if not (has . $alerts) }}
{{- fail (printf "prometheusRule.disabled: there is no alert %s; there are %s" . (join ", " $alerts)) }}
{{- end }}
{{- end }}
{{- include "cortecs.checkAccounts" . }}
{{- include "cortecs.checkAlone" . }}
{{- end }}

{{/* The reaper is not given extraArgs, so what they would say to both commands has to be said by the values. */}}
{{- define "cortecs.checkReaper" -}}
{{- $values := dict "--default-account" "config.defaultAccount" "--allowed-api-hosts" "config.allowedApiHosts" "--watch-namespaces" "watchNamespaces" "--leader-elect" "leaderElection.enabled" "--settle-seconds" "config.settleSeconds" "--request-timeout-seconds" "config.requestTimeoutSeconds" }}
{{- range .Values.extraArgs }}
{{- $flag := splitList "=" . | first }}
{{- with get $values $flag }}
{{- fail (printf "extraArgs: the reaper is not given %s: set %s instead" $flag .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Checks that the operator can use the accounts of the values. */}}
{{- define "cortecs.checkAccounts" -}}
{{- $allowed := list }}
{{- range .Values.config.allowedApiHosts }}
{{- $allowed = append $allowed (include "cortecs.place" (ternary . (print "https://" .) (hasPrefix "http://" .))) }}
{{- end }}
{{- $definition := .Files.Get "files/crds/cortecsaccounts.yaml" | fromYaml }}
{{- $usual := (index $definition.spec.versions 0).schema.openAPIV3Schema.properties.spec.properties.apiUrl.default }}
{{- range (include "cortecs.accounts" . | fromJson).accounts }}
{{- $id := printf "%s/%s" .namespace .name }}
{{- $url := .spec.apiUrl | default $usual }}
{{- $place := include "cortecs.place" $url }}
{{- /* Flags override the values. */}}
{{- if not (or (has $place $allowed) (contains "--allowed-api-hosts" (join " " $.Values.extraArgs))) }}
{{- fail (printf "account %s: the operator may not send credentials to %s: add its host to config.allowedApiHosts" $id $url) }}
{{- end }}
{{- /* Exceptions from the proxy are not checked. */}}
{{- if and $.Values.networkPolicy.enabled (not $.Values.networkPolicy.extraEgress) (not (and $.Values.proxy.https $.Values.proxy.except)) }}
{{- $next := ternary ($.Values.proxy.https | default $url) $url (hasPrefix "https:" $url) }}
{{- $port := include "cortecs.place" $next | splitList ":" | last }}
{{- $open := $.Values.networkPolicy.https.ports }}
{{- if not $.Values.networkPolicy.apiServer.cidrs }}
{{- $open = concat $open $.Values.networkPolicy.apiServer.ports }}
{{- end }}
{{- if not (has $port (toStrings $open)) }}
{{- fail (printf "account %s: the network policy does not let the operator reach port %s: add it to networkPolicy.https.ports, or a rule to networkPolicy.extraEgress" $id $port) }}
{{- end }}
{{- end }}
{{- /* With extraObjects, the user's own Role may permit it. */}}
{{- if and $.Values.rbac.create $.Values.rbac.secrets (not $.Values.extraObjects) }}
{{- $readable := false }}
{{- $account := . }}
{{- range $.Values.rbac.secrets }}
{{- $readable = or $readable (and (eq .namespace $account.namespace) (or (not .names) (has $account.secret .names))) }}
{{- end }}
{{- if not $readable }}
{{- fail (printf "account %s: the operator may not read its Secret: add {namespace: %s, names: [%s]} to rbac.secrets" $id .namespace .secret) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Scheme, host and port of a URL. */}}
{{- define "cortecs.place" -}}
{{- $url := urlParse (lower .) }}
{{- $url.scheme }}://{{ $url.host }}
{{- if not (regexMatch ":[0-9]+$" $url.host) }}:{{ get (dict "http" "80" "https" "443" "socks5" "1080") $url.scheme }}{{ end }}
{{- end }}

{{/*
The Lease has a fixed name, so two releases in one namespace would share it. One would lead, and no process would reconcile the
resources of the other, though both are ready.
*/}}
{{- define "cortecs.checkAlone" -}}
{{- range (lookup "apps/v1" "Deployment" .Release.Namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- $ours := or (eq (dig "app.kubernetes.io/name" "" $labels) $.Chart.Name) (hasPrefix (print $.Chart.Name "-") (dig "helm.sh/chart" "" $labels)) }}
{{- $instance := dig "app.kubernetes.io/instance" "" $labels }}
{{- if and $ours (ne $instance $.Release.Name) }}
{{- fail (printf "the Deployment %s in namespace %s is another operator, of %s. The two would share one Lease, and one of them would never act: install this release into another namespace" .metadata.name $.Release.Namespace (default "no release" $instance)) }}
{{- end }}
{{- end }}
{{- end }}
