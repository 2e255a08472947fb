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
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"

	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/render"
)

// renderOptions are what the render command has beside the agent's own.
type renderOptions struct {
	files    []string
	nodeName string
}

func newRender(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	var r renderOptions
	c := &cobra.Command{
		Use:   "render {-f FILE... | --kubeconfig FILE}",
		Short: "Print the tables as nft text, without touching the kernel",
		Long: `render prints what the agent would program on a node, as text that
"nft -f" loads: from manifests of Services, EndpointSlices, Nodes and
ServiceCIDRs, or from an API server. It takes the agent's flags and its
configuration file. The addresses of a node are those of its Node object.`,
		Example: `  switchyard-node render -f manifests.yaml --node-name node-1
  kubectl get services,endpointslices,nodes,servicecidrs -A -o yaml | switchyard-node render -f -`,
		Args: command.FlagsOnly("give files with -f"),
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd, stdin, stdout, stderr) },
	}
	c.Flags().StringArrayVarP(&r.files, "filename", "f", nil, "manifests, - for standard input; may be repeated")
	c.Flags().StringVar(&r.nodeName, "node-name", "", "the node to render for; not needed with manifests of a single Node")
	c.Flags().AddFlagSet(newOptions(proxyconfig.KubeProxyConfiguration{}).flags())
	return c
}

func (r *renderOptions) run(cmd *cobra.Command, stdin io.Reader, stdout, stderr io.Writer) error {
	resolved, err := resolve(agentFlags(cmd.Flags()))
	if err != nil {
		return err
	}
	o := resolved.options
	for _, ignored := range resolved.ignored {
		fmt.Fprintf(stderr, "warning: %s means nothing here and is ignored\n", ignored)
	}
	objects, err := r.objects(cmd.Context(), o, stdin, stderr)
	if err != nil {
		return err
	}
	input, err := r.input(o, objects)
	if err != nil {
		return err
	}
	text, problems := render.Text(input)
	for _, problem := range problems {
		fmt.Fprintf(stderr, "warning: %s\n", problem)
	}
	_, err = io.WriteString(stdout, text)
	return err
}

// agentFlags are those on the command line that the agent has, too, to be read
// again together with the file that --config names.
func agentFlags(given *pflag.FlagSet) []string {
	known := newOptions(proxyconfig.KubeProxyConfiguration{}).flags()
	var args []string
	given.Visit(func(f *pflag.Flag) {
		if known.Lookup(f.Name) == nil {
			return
		}
		value := f.Value.String()
		if values, ok := f.Value.(pflag.SliceValue); ok {
			value = strings.Join(values.GetSlice(), ",")
		}
		args = append(args, "--"+f.Name+"="+value)
	})
	return args
}

// input is what the text is made from: the agent's own way from the Node
// object and the options to values.
func (r *renderOptions) input(o *Options, objects render.Objects) (render.Input, error) {
	options, err := o.node()
	if err != nil {
		return render.Input{}, err
	}
	name := r.name(o, objects)
	facts := agent.Facts{Node: objects.Node(name), ServiceCIDRs: objects.CIDRs()}
	if facts.Node == nil && name != "" {
		return render.Input{}, fmt.Errorf("there is no Node %q: give --node-name of one that there is", name)
	}
	facts.Local = addressesOf(facts.Node)
	if o.withoutExternalIPs() {
		for _, svc := range objects.Services {
			svc.Spec.ExternalIPs = nil
		}
	}
	in := render.Input{Objects: objects, Options: o.store(), Features: o.features(), Place: facts.Place(name, options)}
	for _, family := range []model.Family{model.IPv4, model.IPv6} {
		in.Nodes = append(in.Nodes, facts.Shape(family, options))
	}
	return in, nil
}

func (r *renderOptions) name(o *Options, objects render.Objects) string {
	switch {
	case r.nodeName != "":
		return r.nodeName
	case o.Proxy.HostnameOverride != "":
		return o.Proxy.HostnameOverride
	case len(objects.Nodes) == 1:
		return objects.Nodes[0].Name
	}
	return ""
}

func addressesOf(node *corev1.Node) []netip.Addr {
	if node == nil {
		return nil
	}
	var addrs []netip.Addr
	for _, address := range node.Status.Addresses {
		if addr, err := netip.ParseAddr(address.Address); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

func (r *renderOptions) objects(ctx context.Context, o *Options, stdin io.Reader, stderr io.Writer) (render.Objects, error) {
	if len(r.files) > 0 {
		return readManifests(r.files, stdin, stderr)
	}
	client, err := newClient(o)
	if err != nil {
		return render.Objects{}, fmt.Errorf("give manifests with -f, or an API server: %w", err)
	}
	return readServer(ctx, client)
}

func readManifests(files []string, stdin io.Reader, stderr io.Writer) (render.Objects, error) {
	decoder := render.NewDecoder()
	var errs []error
	for _, file := range files {
		errs = append(errs, readManifest(decoder, file, stdin))
	}
	for _, warning := range decoder.Warnings {
		fmt.Fprintf(stderr, "warning: %s\n", warning)
	}
	return decoder.Objects, errors.Join(errs...)
}

func readManifest(decoder *render.Decoder, file string, stdin io.Reader) error {
	if file == "-" {
		return decoder.Read("standard input", stdin)
	}
	from, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("-f: %w: give the path of a file that this user can read", err)
	}
	defer func() { _ = from.Close() }()
	return decoder.Read(file, from)
}

// readServer lists what the agent would watch.
func readServer(ctx context.Context, client kubernetes.Interface) (objects render.Objects, err error) {
	everywhere := metav1.NamespaceAll
	lists := []error{
		list(ctx, client.CoreV1().Services(everywhere).List, &objects.Services),
		list(ctx, client.DiscoveryV1().EndpointSlices(everywhere).List, &objects.EndpointSlices),
		list(ctx, client.CoreV1().Nodes().List, &objects.Nodes),
	}
	cidrs := list(ctx, client.NetworkingV1().ServiceCIDRs().List, &objects.ServiceCIDRs)
	if !apierrors.IsNotFound(cidrs) { // before Kubernetes 1.33
		lists = append(lists, cidrs)
	}
	return objects, errors.Join(lists...)
}

func list[T any, L runtime.Object](ctx context.Context, get func(context.Context, metav1.ListOptions) (L, error), to *[]*T) error {
	pages := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return get(ctx, o) })
	err := pages.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		*to = append(*to, any(object).(*T))
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing from the API server: %w", err)
	}
	return nil
}
