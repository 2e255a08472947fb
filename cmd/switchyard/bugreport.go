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

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/bugreport"
	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/inventory/usage"
	"switchyard.dev/switchyard/internal/status"
	"switchyard.dev/switchyard/internal/version"
)

// Bounds of an archive.
const (
	mostOfReport  = 48 << 20
	mostOfEntry   = 12 << 20
	mostOfLog     = 1 << 20
	mostOfKind    = 3000
	mostAgentsAsk = 20
)

type bugReportOptions struct {
	statusOptions
	file        string
	namespace   string
	redactNames bool
}

func bugReportCommand() *cobra.Command {
	var o bugReportOptions
	c := &cobra.Command{
		Use:   "bug-report",
		Short: "Pack into one archive what somebody needs who looks for a fault",
		Long: `Write a tar.gz with what status, audit and pools say, versions, our objects and
their logs, Services, EndpointSlices, Endpoints and nodes, and the pages of agents.
MANIFEST.txt in it lists every file, and what could not be read and why. What the
API server does not give in time is left out.

No Secret is read. What looks like a secret is taken out of everything else: tokens,
private keys, passwords, headers; annotations and environment variables of others.
That can not be sure to find everything: look through it before you send it. Names
and addresses are in it; --redact-names puts others for the names.

The file can be read by its owner alone. One that is there is not overwritten.

Exit codes: 0 it is written, with or without all; 2 it is not.`,
		Example: `  switchyard bug-report
  switchyard bug-report -n shop --redact-names -o /tmp/report.tar.gz`,
		Args:              arguments(nothing),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.addTo(c)
	flags := c.Flags()
	flags.StringVarP(&o.file, "output", "o", "", "`File` to write; without it switchyard-bug-report-TIME.tar.gz here.")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "Only the Services of this namespace, with their endpoints.")
	flags.StringVar(&o.system, "manager-namespace", "switchyard-system", "Namespace of switchyard-manager and the agents.")
	flags.StringSliceVar(&o.limits.Nodes, "nodes", nil, "Nodes whose agents are asked; without it 20, those in trouble first.")
	flags.BoolVar(&o.redactNames, "redact-names", false, "Replace names of Services, pods, nodes and namespaces, each always by the same.")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "How long it may take; what is not read by then is left out.")
	_ = c.RegisterFlagCompletionFunc("namespace", o.completeNamespaces)
	_ = c.RegisterFlagCompletionFunc("manager-namespace", o.completeNamespaces)
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return trouble(fmt.Errorf("%w: `%s --help` lists the flags", explainFlag(err), c.CommandPath()))
	})
	c.RunE = func(c *cobra.Command, _ []string) error {
		return trouble(o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), time.Now()))
	}
	return c
}

func (o *bugReportOptions) run(ctx context.Context, out, progress io.Writer, now time.Time) error {
	if err := positive("timeout", o.timeout); err != nil {
		return err
	}
	name := "switchyard-bug-report-" + now.UTC().Format("20060102-150405")
	if o.file == "" {
		o.file = name + ".tar.gz"
	}
	cluster, err := o.reach()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(o.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: name another with -o, or remove it", o.file)
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "Reading the cluster, for %v at most ...\n", o.timeout)
	list, err := o.pack(ctx, cluster, file, name, now)
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(o.file)
		return err
	}
	if err := o.tell(out, list); err != nil {
		// It is written all the same, and this was the way to it.
		_, _ = fmt.Fprintf(progress, "Wrote %s. What is in it could not be told (%v): MANIFEST.txt in it says so, too.\n", o.file, err)
	}
	return nil
}

// pack writes the archive and returns its list of contents.
func (o *bugReportOptions) pack(ctx context.Context, cluster reach, file io.Writer, name string, now time.Time) (string, error) {
	contents := o.contents(ctx, cluster)
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return contents.Write(file, name, now)
}

func (o *bugReportOptions) tell(out io.Writer, list string) error {
	info, err := os.Stat(o.file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\nWrote %s, %d KiB, for your eyes only (mode %04o).\n"+
		"Secrets were taken out as far as they can be told: look through it before you send it, as with `tar -xOzf %s | less`.\n",
		diagnosis.PrintableLines(list), o.file, (info.Size()+1023)>>10, info.Mode().Perm(), o.file)
	return err
}

// contents reads all that there is time for.
func (o *bugReportOptions) contents(ctx context.Context, cluster reach) *bugreport.Contents {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	o.start()
	contents := &bugreport.Contents{Most: mostOfReport, MostOfOne: mostOfEntry}
	if o.redactNames {
		contents.Names = bugreport.NewNames()
	}
	collector := &bugreport.Collector{
		Contents: contents, Config: cluster.config, System: o.system, Namespace: o.namespace,
		MostObjects: mostOfKind, MostAgents: mostAgentsAsk, MostOfLog: mostOfLog,
	}
	var err error
	if collector.Tunnels, err = tunnelsInto(cluster); err != nil {
		contents.Miss("pages of agents", "%v", err)
	}
	all := map[string]func(){
		"objects":        func() { collector.Objects(ctx) },
		"names":          func() { collector.Learn(ctx) },
		"logs":           func() { collector.Logs(ctx) },
		"audit, pools":   func() { o.numbers(ctx, contents) },
		"status, agents": func() { o.programs(ctx, collector) },
	}
	if cluster.local != nil {
		all["local cluster"] = func() { addLocal(ctx, contents, *cluster.local) }
	} else {
		contents.Miss("tables of nodes", "only who is on a node can read them: `nft list table ip switchyard` and `nft list table ip6 switchyard`")
	}
	for _, what := range unfinished(ctx, all) {
		contents.Miss(what, "there was no time left")
	}
	return contents
}

// late is how long after the end of its time a part may take to say what it lacks.
const late = time.Second

// unfinished runs all at once and returns the names of those that have not ended soon
// after the context, in order: some of what asks the API server knows of no context.
func unfinished(ctx context.Context, all map[string]func()) []string {
	ended := make(chan string, len(all))
	for name, do := range all {
		go func() {
			do()
			ended <- name
		}()
	}
	left := maps.Clone(all)
	var over <-chan time.Time
	for done := ctx.Done(); len(left) > 0; {
		select {
		case name := <-ended:
			delete(left, name)
		case <-done:
			done, over = nil, time.After(late)
		case <-over:
			return slices.Sorted(maps.Keys(left))
		}
	}
	return nil
}

// programs adds what status says, and then what agents do.
func (o *bugReportOptions) programs(ctx context.Context, collector *bugreport.Collector) {
	whole, err := o.ask(ctx)
	if err != nil {
		collector.Miss("status", "%v", err)
		collector.Add("versions.txt", "versions", []byte("switchyard "+version.String()+"\n"))
		return
	}
	var text bytes.Buffer
	if err := whole.print(&text); err != nil {
		collector.Miss("status.txt", "%v", err)
	}
	collector.Add("status.txt", "what `switchyard status` says", text.Bytes())
	addJSON(collector.Contents, "status.json", "the same for machines", whole)
	collector.Add("versions.txt", "versions", versionsText(whole.facts))
	for _, n := range whole.facts.Nodes {
		collector.Names.Add(n.Name)
	}
	addNames(collector.Contents, whole.facts.Index)
	collector.Agents(ctx, whole.facts.InTroubleFirst())
}

func versionsText(facts *status.Facts) []byte {
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "switchyard %s\nAPI server %s\n", version.String(), facts.Version)
	for _, n := range facts.Nodes {
		_, _ = fmt.Fprintf(&text, "node %s kernel %s\n", n.Name, n.Kernel)
	}
	return []byte(text.String())
}

// numbers adds what audit and pools say.
func (o *bugReportOptions) numbers(ctx context.Context, contents *bugreport.Contents) {
	look, err := o.look(ctx, inventory.Scope{Namespace: o.ownNamespace(), Endpoints: true})
	if err != nil {
		contents.Miss("audit and pools", "%v", err)
		return
	}
	index, err := look()
	if err != nil {
		contents.Miss("audit and pools", "%v", err)
		return
	}
	addNames(contents, index)
	report, pools := audit.Run(index, time.Now()), usage.Of(index)
	var text bytes.Buffer
	_ = report.Print(&text, true) // into memory
	contents.Add("audit.txt", "what `switchyard audit` says, of one look", text.Bytes())
	text.Reset()
	_ = pools.Print(&text, true)
	contents.Add("pools.txt", "what `switchyard pools` says", text.Bytes())
	addJSON(contents, "audit.json", "the same for machines", report)
	addJSON(contents, "pools.json", "the same for machines", pools)
}

// addNames has the names replaced that status and audit tell of.
func addNames(contents *bugreport.Contents, index *inventory.Index) {
	if index == nil {
		return
	}
	for i := range index.Services {
		contents.Names.Add(index.Services[i].Name)
		contents.Names.Add(index.Services[i].Namespace)
	}
	for name := range index.Namespaces {
		contents.Names.Add(name)
	}
}

// ownNamespace is that of -n, or of the context.
func (o *bugReportOptions) ownNamespace() string {
	return (&namespaceOptions{inventoryOptions: o.inventoryOptions, namespace: o.namespace}).ownNamespace()
}

func addJSON(contents *bugreport.Contents, name, what string, value any) {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		contents.Miss(name, "%v", err)
		return
	}
	contents.AddDocument(name, what, text)
}

// tailOf is the end of a file, from the beginning of a line.
func tailOf(path string, most int) ([]byte, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// The byte before tells whether a line begins there.
	from := max(0, info.Size()-int64(most)-1)
	text := make([]byte, info.Size()-from)
	n, err := file.ReadAt(text, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if from > 0 { // it may have become shorter meanwhile
		most = min(most, max(0, n-1))
	}
	return bugreport.Tail(text[:n], most), nil
}
