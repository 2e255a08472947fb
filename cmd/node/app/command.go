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
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/internal/version"
)

// Main runs the program with args and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	return command.Main(newCommand(args, stdout, stderr), args, stdout, stderr)
}

func newCommand(args []string, stdout, stderr io.Writer) *cobra.Command {
	c := &cobra.Command{
		Use:   "switchyard-node",
		Short: "Program this node's Services into nftables",
		Long: `switchyard-node watches Services and EndpointSlices and programs this node's
nftables, in place of kube-proxy. Its rules are the tables "ip switchyard" and
"ip6 switchyard". They stay when it exits and keep forwarding; the next run
takes them over, --cleanup removes them.

It takes kube-proxy's flags and its configuration file.`,
		Args: command.FlagsOnly("there are only flags, and the command render"),
		RunE: func(cmd *cobra.Command, _ []string) error { return execute(cmd.Context(), args, stdout) },
	}
	c.AddCommand(newRender(os.Stdin, stdout, stderr))
	c.Flags().AddFlagSet(newOptions(proxyconfig.KubeProxyConfiguration{}).flags())
	return c
}

// execute does what args ask for. cobra has checked them already; they are read
// again together with the file that they may name.
func execute(ctx context.Context, args []string, stdout io.Writer) error {
	r, err := resolve(args)
	if err != nil {
		return err
	}
	o := r.options
	switch {
	case o.Version:
		_, err = fmt.Fprintln(stdout, "switchyard-node", version.String())
		return err
	case o.WriteConfigTo != "":
		return o.writeConfig()
	case o.Cleanup:
		return o.cleanup(ctx)
	case o.Own.CleanupKubeProxy:
		return o.cleanupKubeProxy(ctx, stdout)
	case o.InitOnly:
		return initOnly(ctx, r)
	}
	return run(ctx, args, r)
}

// writeConfig writes the configuration in effect as kube-proxy reads it.
func (o *Options) writeConfig() error {
	text, err := yaml.Marshal(o.Proxy)
	if err == nil {
		err = os.WriteFile(o.WriteConfigTo, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("--write-config-to: %w: choose a file that this user can write", err)
	}
	return nil
}
