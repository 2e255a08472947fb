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
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/validation"
	"switchyard.dev/switchyard/internal/validation/lint"
)

// Exit codes of lint.
const (
	exitFindings   = 1
	exitUnreadable = 2
)

// lintOptions are what `switchyard lint` can be told.
type lintOptions struct {
	names     []string
	recursive bool
	output    string
	strict    bool
	families  []string
	namespace string
	against   string
	cluster   bool
	// subresource is status, or nothing for the object itself.
	subresource string
	clusterFlags
}

func lintCommand() *cobra.Command {
	var o lintOptions
	c := &cobra.Command{
		Use:   "lint -f {FILE | DIRECTORY | -} ...",
		Short: "Say what is wrong with manifests of Services and endpoints",
		Long: `Say what is wrong with the Services, Endpoints and EndpointSlices in manifests,
without a cluster: what an API server of Kubernetes 1.37 would refuse, with its
own words, what it would warn of, and what it accepts although it can not work
(rules S1 to S6). Objects of other kinds are passed over and counted.

With --cluster they are also held against the objects of a cluster, by the rules
of the admission webhooks (X1 and on), with their default severities or those in
the labels of the namespace. An object that is there is judged as an update: what
may not change, and by the rules only what the change adds. This works without
the webhooks, and changes nothing. --against does the first without a cluster,
for manifests as they were before.

Files hold YAML or JSON, several documents each, and Lists. A field that the kind
does not have is an error.

Exit codes: 0 no errors; 1 errors, or with --strict warnings; 2 something could
not be read, of the cluster too, or the question was wrong.`,
		Example: `  switchyard lint -f service.yaml
  kustomize build . | switchyard lint -f -
  switchyard lint -R -f manifests/ --strict -o json
  switchyard lint -f service.yaml --cluster
  git show HEAD:service.yaml | switchyard lint -f service.yaml --against -`,
		Args: arguments(noFiles),
	}
	o.addFlags(c)
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &exitError{code: exitUnreadable, err: fmt.Errorf("%w: `%s --help` lists the flags", explainFlag(err), c.CommandPath())}
	})
	c.RunE = func(c *cobra.Command, _ []string) error {
		err := o.run(c)
		if _, is := errors.AsType[*exitError](err); err != nil && !is {
			return &exitError{code: exitUnreadable, err: err}
		}
		return err
	}
	return c
}

func (o *lintOptions) addFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringArrayVarP(&o.names, "filename", "f", nil, "File, directory, or - for standard input; may be given more than once.")
	flags.BoolVarP(&o.recursive, "recursive", "R", false, "Read the directories below a directory too.")
	flags.StringVarP(&o.output, "output", "o", "", "json, yaml or wide, or nothing for a table.")
	flags.BoolVar(&o.strict, "strict", false, "Let warnings count for the exit code.")
	flags.StringSliceVar(&o.families, "ip-families", nil, "IP families that the cluster gives ClusterIPs of, for example IPv4,IPv6; without it none is missed.")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "Namespace of objects that are without one; without it that of the context with --cluster, else default.")
	flags.StringVar(&o.against, "against", "", "File, directory, or - with the same objects as they were: judge the updates.")
	flags.BoolVar(&o.cluster, "cluster", false, "Hold the objects against those of a cluster, too.")
	flags.StringVar(&o.subresource, "subresource", "", "status: judge what is written to the status of Services, as with kubectl's flag.")
	o.clusterFlags.addTo(c)
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml", "wide"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("subresource", cobra.FixedCompletions([]string{"status"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("ip-families", cobra.FixedCompletions([]string{"IPv4", "IPv6", "IPv4,IPv6", "IPv6,IPv4"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("namespace", o.completeNamespaces)
}

// noFiles says where they belong: they are not read as arguments.
func noFiles(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("give files with -f: `%s -f %s`", c.CommandPath(), strings.Join(args, " -f "))
}

func (o *lintOptions) validate() (validation.Options, error) {
	var opts validation.Options
	if len(o.names) == 0 {
		return opts, errors.New("say what to look at: `switchyard lint -f FILE`, or -f - for standard input")
	}
	if !slices.Contains([]string{"", "json", "yaml", "wide"}, o.output) {
		return opts, fmt.Errorf("unknown output format %q: use json, yaml or wide, or leave it out", o.output)
	}
	if o.subresource != "" && o.subresource != "status" {
		return opts, fmt.Errorf("unknown subresource %q: there is status", o.subresource)
	}
	if !o.cluster && (o.kubeconfig != "" || o.context != "") {
		return opts, errors.New("--kubeconfig and --context choose a cluster: give --cluster to have objects held against it")
	}
	if o.cluster && o.against != "" {
		return opts, errors.New("--cluster has the objects as they are: leave --against out")
	}
	if o.against == lint.Stdin && slices.Contains(o.names, lint.Stdin) {
		return opts, errors.New("standard input can be read once: give -f or --against a file")
	}
	for _, family := range o.families {
		switch f := corev1.IPFamily(family); f {
		case corev1.IPv4Protocol, corev1.IPv6Protocol:
			opts.IPFamilies = append(opts.IPFamilies, f)
		default:
			return opts, fmt.Errorf("--ip-families %q: want IPv4, IPv6, or both with a comma", family)
		}
	}
	return opts, nil
}

func (o *lintOptions) run(c *cobra.Command) error {
	opts, err := o.validate()
	if err != nil {
		return err
	}
	files, err := lint.Files(o.names, o.recursive)
	if err != nil {
		return err
	}
	in := lint.Read(files, c.InOrStdin())
	if in.Empty() {
		return fmt.Errorf("%s: there is no object in it: did what should have written it fail?", strings.Join(files, ", "))
	}
	report := newLintReport(len(files), in)
	ctx, cancel := context.WithTimeout(c.Context(), clusterPatience)
	defer cancel()
	judge, unread, err := o.judge(ctx, c)
	if err != nil {
		return err
	}
	for _, object := range in.Objects {
		found, err := judge(object, opts)
		if err != nil {
			return fmt.Errorf("%s: %w", object.Place, err)
		}
		report.add(found)
	}
	report.NotRead = append(report.NotRead, unread()...)
	if err := report.print(c.OutOrStdout(), o.output); err != nil {
		return err
	}
	return report.exit(o.strict)
}

// judgement is what is found wrong with an object.
type judgement func(lint.Object, validation.Options) ([]lint.Finding, error)

// judge holds objects against a cluster, against what they were, or against
// nothing. Unread says, once it has judged, what it could not read for that.
func (o *lintOptions) judge(ctx context.Context, c *cobra.Command) (judge judgement, unread func() []inventory.Unread, err error) {
	nothing := func() []inventory.Unread { return nil }
	switch {
	case o.cluster:
		judge, err := o.reachJudge(ctx, c.ErrOrStderr())
		if err != nil {
			return nil, nil, fmt.Errorf("--cluster: %w", err)
		}
		judge.find = o.find()
		return judge.judge(ctx), func() []inventory.Unread { return judge.unread }, nil
	case o.against != "":
		judge, err := o.judgeUpdates(c.InOrStdin())
		return judge, nothing, err
	}
	return func(object lint.Object, opts validation.Options) ([]lint.Finding, error) {
		found, _ := o.find()(object, nil, opts)
		return found, nil
	}, nothing, nil
}

// finding is what is wrong with an object in the place of another, if there is one,
// and the object with all that the server fills in.
type finding func(o lint.Object, before runtime.Object, opts validation.Options) ([]lint.Finding, runtime.Object)

func (o *lintOptions) find() finding {
	if o.subresource == "status" {
		return lint.Object.FindStatus
	}
	return lint.Object.FindUpdate
}

// judgeUpdates reads the manifests as they were.
func (o *lintOptions) judgeUpdates(stdin io.Reader) (judgement, error) {
	files, err := lint.Files([]string{o.against}, o.recursive)
	if err != nil {
		return nil, fmt.Errorf("--against: %w", err)
	}
	in := lint.Read(files, stdin)
	for _, problem := range in.Problems {
		err = errors.Join(err, problem)
	}
	if err != nil {
		return nil, fmt.Errorf("--against: %w", err)
	}
	namespace := cmp.Or(o.namespace, corev1.NamespaceDefault)
	earlier := lint.NewEarlier(in.Objects, namespace)
	return func(object lint.Object, opts validation.Options) ([]lint.Finding, error) {
		before := earlier.Before(object, namespace)
		merged, err := object.Onto(before)
		if err != nil {
			return nil, err
		}
		found, _ := o.find()(merged, before, opts)
		return found, nil
	}, nil
}

// lintReport is what is printed.
type lintReport struct {
	Findings   []lint.Finding `json:"findings"`
	Unreadable []lint.Problem `json:"unreadable"`
	// NotRead is what the user may not read of the cluster, and rules need.
	NotRead []inventory.Unread `json:"notRead"`
	Summary lintSummary        `json:"summary"`
}

type lintSummary struct {
	Files      int `json:"files"`
	Checked    int `json:"checked"`
	PassedOver int `json:"passedOver"`
	Errors     int `json:"errors"`
	Warnings   int `json:"warnings"`
}

func newLintReport(files int, in lint.Input) *lintReport {
	return &lintReport{
		// Lists that are empty and not null are easier on scripts.
		Findings: []lint.Finding{}, NotRead: []inventory.Unread{}, Unreadable: append([]lint.Problem{}, in.Problems...),
		Summary: lintSummary{Files: files, Checked: len(in.Objects), PassedOver: in.PassedOver},
	}
}

func (r *lintReport) add(found []lint.Finding) {
	r.Findings = append(r.Findings, found...)
	for _, f := range found {
		if f.Severity == lint.Error {
			r.Summary.Errors++
		} else {
			r.Summary.Warnings++
		}
	}
}

func (r *lintReport) print(out io.Writer, format string) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	case "yaml":
		text, err := yaml.Marshal(r)
		if err == nil {
			_, err = out.Write(text)
		}
		return err
	}
	return r.printTable(out, format == "wide")
}

func (r *lintReport) printTable(out io.Writer, wide bool) error {
	if len(r.Findings) > 0 {
		table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintln(table, lintHeadings(wide))
		for _, f := range r.Findings {
			_, _ = fmt.Fprintln(table, lintRow(f, wide))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out)
	}
	s := r.Summary
	passedOver := ""
	if s.PassedOver > 0 {
		passedOver = fmt.Sprintf(", %d of other kinds passed over", s.PassedOver)
	}
	_, err := fmt.Fprintf(out, "%s in %s checked%s: %s, %s.\n", count(s.Checked, "object"), count(s.Files, "file"), passedOver,
		count(s.Errors, "error"), count(s.Warnings, "warning"))
	return err
}

func lintHeadings(wide bool) string {
	if wide {
		return "AT\tLINE\tOBJECT\tSEVERITY\tRULE\tFIELD\tMESSAGE"
	}
	return "AT\tOBJECT\tSEVERITY\tFIELD\tMESSAGE"
}

// lintRow has the line that the document begins at, and the rule, in columns of
// their own when wide.
func lintRow(f lint.Finding, wide bool) string {
	if wide {
		return fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s\t%s", f.Place, f.Line, objectName(f), f.Severity, orDash(f.Rule), orDash(f.Field), oneLine(f.Message))
	}
	message := f.Message
	if f.Rule != "" {
		message += " (rule " + f.Rule + ")"
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", f.Place, objectName(f), f.Severity, orDash(f.Field), oneLine(message))
}

// objectName is KIND NAMESPACE/NAME, as far as the manifest says it.
func objectName(f lint.Finding) string {
	name := orDash(f.Name)
	if f.Namespace != "" {
		name = f.Namespace + "/" + name
	}
	return f.Kind + " " + name
}

// oneLine keeps a value that a manifest holds from breaking the table.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// exit is the error that carries the exit code.
func (r *lintReport) exit(strict bool) error {
	if len(r.Unreadable) > 0 {
		var errs []error
		for _, problem := range r.Unreadable {
			errs = append(errs, problem)
		}
		return &exitError{code: exitUnreadable, err: errors.Join(errs...)}
	}
	var unasked error
	if len(r.NotRead) > 0 {
		unasked = partial(r.NotRead)
	}
	if r.Summary.Errors > 0 || strict && r.Summary.Warnings > 0 {
		return &exitError{code: exitFindings, err: unasked}
	}
	if unasked != nil {
		return &exitError{code: exitUnreadable, err: unasked}
	}
	return nil
}
