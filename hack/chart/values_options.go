/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package main

// optionValues are about what not every cluster has.
func optionValues() []value {
	all := []value{
		{
			path: "certManager.enabled", initial: false, schema: boolean(),
			doc: "Let cert-manager make the webhooks' certificate in place of the manager itself.",
		},
		{path: "networkPolicy.enabled", initial: false, schema: boolean(), doc: "Let only what has to reach the manager reach it."},
	}
	for _, m := range monitoring {
		enabled := m.path + ".enabled"
		all = append(all, value{
			path: enabled, initial: false, schema: boolean(), doc: m.doc, edits: []edit{kinds(m.directory, m.kind, ".Values."+enabled)},
		}, value{
			path: m.path + ".labels", initial: map[string]any{}, schema: labels(), doc: "More labels, which " + m.whose + ".",
			edits: []edit{eachOf(m.directory, m.kind, func(id string) edit { return merged(id, "metadata/labels") })},
		})
	}
	return append(all, value{
		path: "grafana.dashboards.namespace", initial: "", schema: text(0), doc: "Their namespace; that of the release if empty.",
		edits: []edit{eachOf("grafana", "ConfigMap", func(id string) edit {
			return added(id, "metadata", "namespace", "", inline("{{ .Values.grafana.dashboards.namespace | default .Release.Namespace | quote }}"))
		})},
	})
}

// monitoring are the kinds of config/prometheus and config/grafana, and the values
// that turn each on.
var monitoring = []struct{ directory, kind, path, doc, whose string }{
	{
		"prometheus", "ServiceMonitor", "prometheus.serviceMonitor",
		"Make the ServiceMonitor of the manager, for the Prometheus operator.",
		"your Prometheus may select ServiceMonitors by",
	},
	{
		"prometheus", "PodMonitor", "prometheus.podMonitor",
		"Make PodMonitors of agents (which `node.metrics.onAllAddresses` lets be reached) and DNS servers, for the Prometheus operator.",
		"your Prometheus may select PodMonitors by",
	},
	{
		"prometheus", "PrometheusRule", "prometheus.rules",
		"Make alerts, for the Prometheus operator.",
		"your Prometheus may select PrometheusRules by",
	},
	{
		"grafana", "ConfigMap", "grafana.dashboards",
		"Make a ConfigMap with the dashboard, which Grafana's sidecar finds by its label `grafana_dashboard`.",
		"your Grafana may look for",
	},
}
