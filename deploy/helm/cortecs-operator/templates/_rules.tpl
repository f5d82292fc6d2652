{{/* The operator's rights in the watched namespaces, except on Secrets. */}}
{{- define "cortecs.rules.resources" -}}
# Patch is for the finalizer, get for reads past the cache{{ if .Values.rbac.deleteExpired }}, delete for ttlSecondsAfterExpired{{ end }}.
- apiGroups: [cortecs.ai]
  resources: [cortecsinstances]
  verbs: [get, list, watch, patch{{ if .Values.rbac.deleteExpired }}, delete{{ end }}]
- apiGroups: [cortecs.ai]
  resources: [cortecsinstances/status]
  verbs: [patch, update]
- apiGroups: [cortecs.ai]
  resources: [cortecsaccounts]
  verbs: [list, watch, patch]
- apiGroups: [cortecs.ai]
  resources: [cortecsaccounts/status]
  verbs: [patch, update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* The API's catalog as objects. */}}
{{- define "cortecs.rules.catalog" -}}
- apiGroups: [cortecs.ai]
  resources: [cortecsmodels, cortecshardwaretypes]
  verbs: [list, watch, create, update, delete]
{{- end }}

{{/* The Secrets that accounts name: dict, with "names" if limited to some. */}}
{{- define "cortecs.rules.secrets" -}}
- apiGroups: [""]
  resources: [secrets]
  {{- with .names }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get]
{{- end }}

{{/* The labels that allowedNamespaces.selector selects by: dict, with "names" if limited to some. */}}
{{- define "cortecs.rules.namespaces" -}}
- apiGroups: [""]
  resources: [namespaces]
  {{- with .names }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get]
{{- end }}

{{/* The reaper's rights in the watched namespaces, except on Secrets. */}}
{{- define "cortecs.rules.reaper" -}}
# Get is for reads past the cache.
- apiGroups: [cortecs.ai]
  resources: [cortecsinstances]
  verbs: [get, list, watch]
- apiGroups: [cortecs.ai]
  resources: [cortecsinstances/status]
  verbs: [update]
- apiGroups: [cortecs.ai]
  resources: [cortecsaccounts]
  verbs: [list, watch]
{{- end }}

{{/* The Lease, whose holder is the one process that acts. */}}
{{- define "cortecs.rules.lease" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [cortecs-operator]
  verbs: [get, update]
{{- end }}

{{/* A role and its binding to an account, the operator's unless another is given: dict "root" "cluster" "name" "namespace" "rules" "account". */}}
{{- define "cortecs.role" -}}
{{- $kind := ternary "ClusterRole" "Role" .cluster }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  {{- include "cortecs.metadata" (dict "root" .root "name" .name "namespace" .namespace) | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- include "cortecs.metadata" (dict "root" .root "name" .name "namespace" .namespace) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name | toYaml }}
subjects:
  - kind: ServiceAccount
    name: {{ .account | default (include "cortecs.serviceAccountName" .root) | toYaml }}
    namespace: {{ .root.Release.Namespace | toYaml }}
{{- end }}
