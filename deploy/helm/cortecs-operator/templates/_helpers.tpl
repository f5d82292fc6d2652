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

{{/* The name of cluster-scoped objects. It differs for two releases of one name in two namespaces. */}}
{{- define "cortecs.clusterName" -}}
{{- printf "%s-%s" (include "cortecs.fullname" .) .Release.Namespace | trunc 120 | trimSuffix "-" }}
{{- end }}

{{- define "cortecs.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cortecs.name" . | toYaml }}
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{/* Labels of the pod of `helm test`, which is not a pod of the operator. */}}
{{- define "cortecs.testLabels" -}}
app.kubernetes.io/name: {{ include "cortecs.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{/* The name of the reaper's objects. A CronJob's name has at most 52 characters. */}}
{{- define "cortecs.reaperName" -}}
{{- printf "%s-reaper" (include "cortecs.fullname" . | trunc 45 | trimSuffix "-") }}
{{- end }}

{{/* Labels of the reaper's pods, which are not pods of the operator. */}}
{{- define "cortecs.reaperLabels" -}}
app.kubernetes.io/name: {{ include "cortecs.name" . }}-reaper
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{- define "cortecs.labels" -}}
{{- include "cortecs.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The metadata of an object. Names are strings even if they look like numbers. dict "root" $ "name" and, if there are any, "namespace", "labels", "annotations". */}}
{{- define "cortecs.metadata" -}}
name: {{ .name | toYaml }}
{{- with .namespace }}
namespace: {{ . | toYaml }}
{{- end }}
labels:
  {{- merge (dict) (.labels | default dict) (include "cortecs.labels" .root | fromYaml) (.root.Values.commonLabels | default dict) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "cortecs.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "cortecs.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed if serviceAccount.create is false" .Values.serviceAccount.name }}
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

{{/* The pull secrets as a list, empty if there are none. */}}
{{- define "cortecs.imagePullSecrets" -}}
{{- with concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) | uniq }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* The watched namespaces, as {"names": […]}; an empty list means all. */}}
{{- define "cortecs.watched" -}}
{{- $names := .Values.watchNamespaces | default list }}
{{- if .Values.singleNamespace }}
{{- if $names }}
{{- fail "singleNamespace watches the release's namespace: leave watchNamespaces empty" }}
{{- end }}
{{- $names = list .Release.Namespace }}
{{- end }}
{{- dict "names" ($names | uniq | sortAlpha) | toJson }}
{{- end }}

{{/*
The default of the default account's allowedNamespaces.from: all watched namespaces may use it. If the operator watches only the
account's namespace, the default is Same: users in other namespaces, which the operator does not see, would only make lost starts
wait for a person. dict "watched" "namespace".
*/}}
{{- define "cortecs.from" -}}
{{- ternary "Same" "All" (deepEqual .watched (list .namespace)) }}
{{- end }}

{{/* The accounts to create, as {"accounts": […]}: each with all of its fields. */}}
{{- define "cortecs.accounts" -}}
{{- $root := . }}
{{- $watched := (include "cortecs.watched" . | fromJson).names }}
{{- $accounts := list }}
{{- $given := list }}
{{- if .Values.account.create }}
{{- $from := include "cortecs.from" (dict "watched" $watched "namespace" (default .Release.Namespace .Values.account.namespace)) }}
{{- $spec := merge (deepCopy (.Values.account.spec | default dict)) (dict "allowedNamespaces" (dict "from" $from)) }}
{{- $given = append $given (set (deepCopy .Values.account) "spec" $spec) }}
{{- end }}
{{- $seen := list }}
{{- range concat $given (.Values.accounts | default list) }}
{{- $credentials := .credentials | default dict }}
{{- $account := dict "name" .name "namespace" (default $root.Release.Namespace .namespace) "spec" (.spec | default dict) "keep" (ne .keep false) }}
{{- $id := printf "%s/%s" $account.namespace $account.name }}
{{- if has $id $seen }}
{{- fail (printf "account %s is listed twice" $id) }}
{{- end }}
{{- $seen = append $seen $id }}
{{- if and $watched (not (has $account.namespace $watched)) }}
{{- fail (printf "account %s is in a namespace that the operator does not watch: add the namespace to watchNamespaces" $id) }}
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

{{/* "true" if the cluster knows the kind of a monitor or rule: dict "root" $ "kind". */}}
{{- define "cortecs.knows" -}}
{{- if .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) }}true{{ end }}
{{- end }}

{{/* The environment that results from the values. */}}
{{- define "cortecs.env" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with include "cortecs.defaultAccount" . }}
- name: CORTECS_OPERATOR_DEFAULT_ACCOUNT
  value: {{ . | quote }}
{{- end }}
{{- with (include "cortecs.watched" . | fromJson).names }}
- name: CORTECS_OPERATOR_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: CORTECS_OPERATOR_ALLOWED_API_HOSTS
  value: {{ join "," .Values.config.allowedApiHosts | quote }}
- name: CORTECS_OPERATOR_LISTEN
  value: {{ .Values.config.listen | quote }}
- name: CORTECS_OPERATOR_CONCURRENCY
  value: {{ .Values.config.concurrency | int | quote }}
- name: CORTECS_OPERATOR_LEADER_ELECT
  value: {{ .Values.leaderElection.enabled | quote }}
- name: CORTECS_OPERATOR_CATALOG_OBJECTS
  value: {{ and .Values.catalog.enabled (not (include "cortecs.watched" . | fromJson).names) | quote }}
- name: CORTECS_OPERATOR_SETTLE_SECONDS
  value: {{ .Values.config.settleSeconds | int | quote }}
- name: CORTECS_OPERATOR_REQUEST_TIMEOUT_SECONDS
  value: {{ .Values.config.requestTimeoutSeconds | int | quote }}
- name: CORTECS_OPERATOR_LOG_FORMAT
  value: {{ .Values.config.logFormat }}
- name: CORTECS_OPERATOR_LOG_LEVEL
  value: {{ .Values.config.logLevel | quote }}
{{- with .Values.proxy.https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.proxy.except }}
- name: NO_PROXY
  value: {{ join "," . | quote }}
{{- end }}
{{- if include "cortecs.caBundle" . }}
- name: SSL_CERT_FILE
  value: {{ printf "/ca-bundle/%s" .Values.caBundle.key | quote }}
{{- end }}
{{- end }}

{{/* The volume with other certificate authorities, empty if there is none. */}}
{{- define "cortecs.caBundle" -}}
{{- with .Values.caBundle }}
{{- if .configMap -}}
name: ca-bundle
configMap:
  name: {{ toYaml .configMap }}
{{- else if .secret -}}
name: ca-bundle
secret:
  secretName: {{ toYaml .secret }}
{{- end }}
{{- end }}
{{- end }}
