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
	"debug/buildinfo"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

type buildSetting = debug.BuildSetting

// writeBill writes what a platform's programs are made of, as CycloneDX: each
// program with its Go modules, from what the linker has written into it.
func writeBill(p platform, o options, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	encoder := cyclonedx.NewBOMEncoder(file, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(bill(p, o), cyclonedx.SpecVersion1_6); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

func bill(p platform, o options) *cyclonedx.BOM {
	image := cyclonedx.Component{BOMRef: "switchyard", Type: cyclonedx.ComponentTypeContainer, Name: "switchyard", Version: o.version}
	modules := map[string]cyclonedx.Component{}
	var programs []cyclonedx.Component
	root := cyclonedx.Dependency{Ref: image.BOMRef, Dependencies: &[]string{}}
	dependencies := []cyclonedx.Dependency{root}
	for _, program := range p.programs {
		c := cyclonedx.Component{BOMRef: "/" + program.name, Type: cyclonedx.ComponentTypeApplication, Name: program.name, Version: o.version}
		programs = append(programs, c)
		*root.Dependencies = append(*root.Dependencies, c.BOMRef)
		var refs []string
		for _, m := range madeOf(program.info) {
			modules[m.BOMRef] = m
			refs = append(refs, m.BOMRef)
		}
		slices.Sort(refs)
		dependencies = append(dependencies, cyclonedx.Dependency{Ref: c.BOMRef, Dependencies: &refs})
	}
	components := programs
	for _, m := range modules {
		components = append(components, m)
	}
	slices.SortFunc(components, func(a, b cyclonedx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	b := cyclonedx.NewBOM()
	b.Metadata = &cyclonedx.Metadata{Timestamp: o.created.UTC().Format(time.RFC3339), Component: &image}
	b.Components, b.Dependencies = &components, &dependencies
	return b
}

// madeOf are the modules of a program, and Go's own library.
func madeOf(info *buildinfo.BuildInfo) []cyclonedx.Component {
	library := func(path, version string) cyclonedx.Component {
		purl := "pkg:golang/" + path + "@" + version
		return cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
	}
	all := []cyclonedx.Component{library("stdlib", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		for m.Replace != nil {
			m = m.Replace
		}
		all = append(all, library(m.Path, m.Version))
	}
	return all
}
