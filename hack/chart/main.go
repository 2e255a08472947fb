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
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// chartName is in the chart's Chart.yaml.
const chartName = "switchyard"

// static has what is the chart's alone.
//
//go:embed all:static
var static embed.FS

type options struct {
	config, output string
	version        string
	// image has a tag or a digest. It is that of config/ if it is empty.
	image string
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("chart", flag.ContinueOnError)
	flags.StringVar(&o.config, "config", "../../config", "the kustomize tree")
	flags.StringVar(&o.output, "output", "", "directory to write the chart to, in the place of what is there")
	flags.StringVar(&o.version, "version", "0.0.0", "version of the chart: a semantic version, or what git describe says")
	flags.StringVar(&o.image, "image", "", "the image, whose tag is the version of Switchyard (default: the one that config/ names)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q: give flags only, see -h", flags.Arg(0))
	case o.output == "":
		return o, errors.New("-output is missing: name the directory of the chart")
	}
	return o, nil
}

func run(o options) error {
	config, err := readTree(o.config)
	if err != nil {
		return err
	}
	files, err := generate(config, choices(), o)
	if err != nil {
		return err
	}
	return write(files, o.output)
}

// write puts the files in the place of what is in a directory.
func write(files map[string]string, output string) error {
	if err := replaceable(output); err != nil {
		return err
	}
	beside := filepath.Dir(filepath.Clean(output))
	if err := os.MkdirAll(beside, 0o755); err != nil {
		return err
	}
	made, err := os.MkdirTemp(beside, ".chart-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(made) }()
	next := filepath.Join(made, "chart")
	for name, content := range files {
		path := filepath.Join(next, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(output), os.Rename(next, output))
}

// replaceable refuses a directory that is not a chart of ours: somebody's files are in
// it, as a last element of its path is easily forgotten.
func replaceable(dir string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(files) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at what -output is to replace: %w", err)
	}
	chart, err := os.ReadFile(filepath.Join(dir, "Chart.yaml"))
	if err != nil || !slices.Contains(strings.Split(string(chart), "\n"), "name: "+chartName) {
		return fmt.Errorf("-output %s: it has files and no Chart.yaml of this chart, so it is not replaced: name another directory, or empty it", dir)
	}
	return nil
}

// generate returns the files of the chart by their names.
func generate(config tree, choices []choice, o options) (map[string]string, error) {
	c, err := readChart(config, choices)
	if err != nil {
		return nil, err
	}
	all := values()
	if err := c.apply(all); err != nil {
		return nil, err
	}
	tag, err := setImage(all, o.image)
	if err != nil {
		return nil, err
	}
	files, err := c.files()
	if err != nil {
		return nil, err
	}
	if files["values.yaml"], err = valuesFile(all); err != nil {
		return nil, err
	}
	if files["values.schema.json"], err = schemaFile(all); err != nil {
		return nil, err
	}
	list, err := table(all)
	if err != nil {
		return nil, err
	}
	words := strings.NewReplacer("APPVERSION", strconv.Quote(tag), "VERSION", semantic(o.version), "TABLE", list)
	return files, fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := static.ReadFile(name)
		text := string(content)
		if !strings.Contains(name, "/templates/") {
			text = words.Replace(text)
		}
		files[strings.TrimPrefix(name, "static/")] = text
		return err
	})
}
