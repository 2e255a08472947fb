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

package app

import (
	"flag"
	"fmt"
	"io"
	"strconv"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/webhooks"
)

func (o *Options) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet("switchyard-manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // Main prints the error, once, and help when asked.
	o.AddFlags(flags)
	return flags
}

// AddFlags registers the flags with the present values as defaults.
func (o *Options) AddFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "Kubeconfig `file`; without it $KUBECONFIG, the pod's own account, or ~/.kube/config.")
	flags.StringVar(&o.Namespace, "namespace", o.Namespace, "`Namespace` of the lease and of the certificate secret; $POD_NAMESPACE when not given.")
	flags.StringVar(&o.ConfigFile, "config", o.ConfigFile, "Configuration `file`, which flags override.")
	flags.BoolVar(&o.Version, "version", false, "Print the version and exit.")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "Let one of several replicas run the controllers. Webhooks are served by all.")
	flags.StringVar(&o.ProbeBindAddress, "health-probe-bind-address", o.ProbeBindAddress, "`Address` of /healthz and /readyz; 0 serves none.")
	flags.BoolVar(&o.EnableHTTP2, "enable-http2", o.EnableHTTP2, "Serve HTTP/2 for metrics and webhooks (off because of CVE-2023-44487 and its kin).")
	o.addMetricsFlags(flags)
	o.addWebhookFlags(flags)
	o.addEndpointsFlags(flags)
	o.addAllocationFlags(flags)
	o.addLoadBalancerFlags(flags)
	flags.Var(onOff{&o.Diagnosis}, "diagnosis", "Keep conditions in the status of Services that say why one does not answer: `on or off`.")
	flags.Func("rule", "Severity of one admission `rule`, for example X12=off; deny, warn or off. May be given again.", func(text string) error {
		o.rules = append(o.rules, text)
		return webhooks.Severities{}.SetText(text)
	})
	flags.BoolVar(&o.Admission.Audit, "admission-audit", o.Admission.Audit,
		"Let the admission rules refuse nothing: what they would refuse is a warning, counted and logged.")
	flags.StringVar(&o.Admission.ClusterDomain, "cluster-domain", o.Admission.ClusterDomain,
		"DNS `domain` of the cluster, in which Services have their names.")
	o.Zap.BindFlags(flags)
}

func (o *Options) addMetricsFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.Metrics.BindAddress, "metrics-bind-address", o.Metrics.BindAddress, "`Address` of /metrics, for example :8443; 0 serves none.")
	flags.BoolVar(&o.Metrics.Secure, "metrics-secure", o.Metrics.Secure, "Serve metrics by HTTPS, to those whom the API server allows.")
	flags.BoolVar(&o.Profiling, "profiling", o.Profiling, "Serve /debug/pprof beside /metrics, to those whom the API server allows.")
	flags.StringVar(&o.Metrics.Dir, "metrics-cert-path", o.Metrics.Dir, "`Directory` of the metrics certificate; self-signed when not given.")
	flags.StringVar(&o.Metrics.Cert, "metrics-cert-name", o.Metrics.Cert, "Metrics certificate `file` in that directory.")
	flags.StringVar(&o.Metrics.Key, "metrics-cert-key", o.Metrics.Key, "Metrics key `file` in that directory.")
}

func (o *Options) addWebhookFlags(flags *flag.FlagSet) {
	flags.Var(onOff{&o.Webhooks.Enabled}, "webhooks", "Serve the admission webhooks: `on or off`. Off needs no certificates.")
	flags.IntVar(&o.Webhooks.Port, "webhook-port", o.Webhooks.Port, "`Port` of the admission webhooks.")
	flags.StringVar(&o.Webhooks.Dir, "webhook-cert-path", o.Webhooks.Dir,
		"`Directory` of a certificate that someone else renews; the manager makes its own without it.")
	flags.StringVar(&o.Webhooks.Cert, "webhook-cert-name", o.Webhooks.Cert, "Webhook certificate `file` in that directory.")
	flags.StringVar(&o.Webhooks.Key, "webhook-cert-key", o.Webhooks.Key, "Webhook key `file` in that directory.")
	flags.StringVar(&o.Webhooks.ClientCA, "webhook-client-ca", o.Webhooks.ClientCA,
		"`File` of the authorities whose client certificates the webhooks ask for; without it they believe whoever reaches them.")
}

// addEndpointsFlags gives the limits the names they have in
// kube-controller-manager.
func (o *Options) addEndpointsFlags(flags *flag.FlagSet) {
	flags.Var(parsed[controllers.EndpointsMode]{&o.Endpoints, controllers.ParseEndpointsMode}, "endpoints",
		"Endpoint controllers to run in place of kube-controller-manager's, which must be off: `off, selectorless or all`.")
	flags.IntVar(&o.EndpointsTuning.Workers, "concurrent-service-endpoint-syncs", o.EndpointsTuning.Workers, "`Number` of Services worked on at a time, 1 to 50.")
	flags.Func("max-endpoints-per-slice", "Largest `number` of endpoints in an EndpointSlice, 1 to 1000 (default 100).", func(text string) error {
		number, err := strconv.ParseInt(text, 10, 32)
		o.EndpointsTuning.MaxEndpointsPerSlice = int32(number)
		return err
	})
	flags.IntVar(&o.EndpointsTuning.MaxEndpointsPerSubset, "mirroring-max-endpoints-per-subset", o.EndpointsTuning.MaxEndpointsPerSubset,
		"Largest `number` of addresses mirrored from a subset of custom Endpoints, 1 to 1000.")
	flags.DurationVar(&o.EndpointsTuning.BatchPeriod, "endpointslice-updates-batch-period", o.EndpointsTuning.BatchPeriod,
		"`Time` for which pod changes are gathered into one write.")
}

func (o *Options) addLoadBalancerFlags(flags *flag.FlagSet) {
	flags.Var(onOff{&o.LoadBalancers.Enabled}, "loadbalancers",
		"Give Services of type LoadBalancer addresses of AddressPools for that use: `on or off`.")
	flags.StringVar(&o.LoadBalancers.Class.Name, "loadbalancer-class", o.LoadBalancers.Class.Name,
		"spec.loadBalancerClass of the Services that get them; those of other `class`es are left alone.")
	flags.BoolVar(&o.LoadBalancers.Class.Default, "loadbalancer-default", o.LoadBalancers.Class.Default,
		"Serve Services without a class as well: no other load balancer in the cluster may.")
}

func (o *Options) addAllocationFlags(flags *flag.FlagSet) {
	flags.Var(parsed[allocator.Mode]{&o.Allocation, allocator.ParseMode}, "allocation",
		"How much of a Service's ClusterIPs and NodePorts is decided here: `advisory, authoritative or off`.")
	flags.Func("service-node-port-range", "`Range` of NodePorts, as the API server has it (default "+o.NodePorts.String()+").", func(text string) error {
		span, err := allocator.ParsePortSpan(text)
		o.NodePorts = span
		return err
	})
	flags.IntVar(&o.RetainLimit, "retain-limit", o.RetainLimit, "`Number` of NodePorts and addresses that the annotation "+v1alpha1.RetainAnnotation+
		" keeps in a namespace for Services that are gone; 0: it has no effect. The label "+v1alpha1.RetainLimitLabel+" of a namespace overrides it.")
}

// parse reads the command line and the configuration file into the options.
func (o *Options) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	o.given = map[string]bool{}
	flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	if err := o.loadConfig(); err != nil {
		return err
	}
	return o.Validate()
}
