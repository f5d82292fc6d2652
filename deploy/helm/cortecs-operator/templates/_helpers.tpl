{{- define "cortecs.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "cortecs.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "cortecs.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of cluster-scoped objects: two releases of one name in two namespaces do not meet. */}}
{{- define "cortecs.clusterName" -}}
{{- printf "%s-%s" (include "cortecs.fullname" .) .Release.Namespace | trunc 120 | trimSuffix "-" }}
{{- end }}

{{- define "cortecs.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cortecs.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of the pod of `helm test`, which is none of the operator's. */}}
{{- define "cortecs.testLabels" -}}
app.kubernetes.io/name: {{ include "cortecs.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cortecs.labels" -}}
{{- include "cortecs.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The metadata of an object: dict "root" $ "name" and, where there are any, "namespace", "labels", "annotations". */}}
{{- define "cortecs.metadata" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- merge (dict) (.labels | default dict) (include "cortecs.labels" .root | fromYaml) .root.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "cortecs.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "cortecs.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "cortecs.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry }}
{{- with $registry }}{{ . }}/{{ end }}
{{- .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}
{{- else }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The pull secrets as a list, empty where there are none. */}}
{{- define "cortecs.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* The namespaces that are looked after, as {"names": […]}; none means all. */}}
{{- define "cortecs.watched" -}}
{{- $names := .Values.watchNamespaces }}
{{- if .Values.singleNamespace }}
{{- if $names }}
{{- fail "singleNamespace looks after the release's namespace: leave watchNamespaces empty" }}
{{- end }}
{{- $names = list .Release.Namespace }}
{{- end }}
{{- dict "names" ($names | uniq | sortAlpha) | toJson }}
{{- end }}

{{/* The accounts to create, as {"accounts": […]}: each with all of its fields. */}}
{{- define "cortecs.accounts" -}}
{{- $root := . }}
{{- $watched := (include "cortecs.watched" . | fromJson).names }}
{{- $accounts := list }}
{{- $given := list }}
{{- if .Values.account.create }}
{{- $given = append $given .Values.account }}
{{- end }}
{{- $seen := list }}
{{- range concat $given .Values.accounts }}
{{- $credentials := .credentials | default dict }}
{{- $account := dict "name" .name "namespace" (default $root.Release.Namespace .namespace) "spec" (.spec | default dict) "keep" (ne .keep false) }}
{{- $id := printf "%s/%s" $account.namespace $account.name }}
{{- if has $id $seen }}
{{- fail (printf "account %s is there twice" $id) }}
{{- end }}
{{- $seen = append $seen $id }}
{{- if and $watched (not (has $account.namespace $watched)) }}
{{- fail (printf "account %s is in a namespace that is not looked after: add it to watchNamespaces" $id) }}
{{- end }}
{{- $id_given := $credentials.clientId | default "" }}
{{- $secret_given := $credentials.clientSecret | default "" }}
{{- if .existingSecret }}
{{- if or $id_given $secret_given }}
{{- fail (printf "account %s: set either existingSecret or credentials" $id) }}
{{- end }}
{{- $_ := set $account "secret" .existingSecret }}
{{- else }}
{{- if not (and $id_given $secret_given) }}
{{- fail (printf "account %s: set existingSecret, or both of credentials.clientId and credentials.clientSecret" $id) }}
{{- end }}
{{- $_ := set $account "secret" (printf "cortecs-account-%s" .name) }}
{{- $_ := set $account "credentials" (dict "CORTECS_CLIENT_ID" $id_given "CORTECS_CLIENT_SECRET" $secret_given) }}
{{- end }}
{{- $accounts = append $accounts $account }}
{{- end }}
{{- dict "accounts" $accounts | toJson }}
{{- end }}

{{- define "cortecs.defaultAccount" -}}
{{- if .Values.config.defaultAccount }}
{{- .Values.config.defaultAccount }}
{{- else if .Values.account.create }}
{{- printf "%s/%s" (default .Release.Namespace .Values.account.namespace) .Values.account.name }}
{{- end }}
{{- end }}

{{/* What cannot be said in the schema. */}}
{{- define "cortecs.check" -}}
{{- $least := mul 4 .Values.config.requestTimeoutSeconds }}
{{- if lt (int .Values.config.settleSeconds) (int $least) }}
{{- fail (printf "config.settleSeconds is %d but must be at least %d, four times config.requestTimeoutSeconds" (int .Values.config.settleSeconds) (int $least)) }}
{{- end }}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) }}
{{- fail "several replicas need leaderElection.enabled: two that act at once start instances twice" }}
{{- end }}
{{- $watched := (include "cortecs.watched" . | fromJson).names }}
{{- with include "cortecs.defaultAccount" . }}
{{- $namespace := splitList "/" . | first }}
{{- if and $watched (not (has $namespace $watched)) }}
{{- fail (printf "the default account %s is in a namespace that is not looked after: add it to watchNamespaces" .) }}
{{- end }}
{{- end }}
{{- range .Values.rbac.secrets }}
{{- if and $watched (not (has .namespace $watched)) }}
{{- fail (printf "rbac.secrets: namespace %s is not looked after: add it to watchNamespaces" .namespace) }}
{{- end }}
{{- end }}
{{- if and .Values.singleNamespace (or .Values.admission.orphan.enabled .Values.admission.maxWorkers.enabled) }}
{{- fail "admission policies are cluster-scoped: a release with singleNamespace has none" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "set serviceMonitor.enabled or podMonitor.enabled: both would count everything twice" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) }}
{{- fail "serviceMonitor.enabled needs service.enabled" }}
{{- end }}
{{- end }}

{{/* The context of a monitor's or rule's kind: "true" where the cluster knows it. */}}
{{- define "cortecs.knows" -}}
{{- if .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) }}true{{ end }}
{{- end }}
