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
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// platform is an architecture and the programs that were built for it.
type platform struct {
	os, arch string
	programs []program
}

type program struct {
	name, path string
	info       *buildinfo.BuildInfo
}

// findPlatforms looks into each directory GOOS_GOARCH. Programs that do not fit
// are an error: an image must not hold another architecture's programs, or some
// that need a libc, which is not in it. Unless local, they must not hold paths of
// this machine either.
func findPlatforms(directory string, local bool) ([]platform, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var platforms []platform
	for _, e := range entries {
		system, arch, ok := strings.Cut(e.Name(), "_")
		if !e.IsDir() || !ok {
			return nil, fmt.Errorf("%s is no directory GOOS_GOARCH", filepath.Join(directory, e.Name()))
		}
		p := platform{os: system, arch: arch}
		files, err := os.ReadDir(filepath.Join(directory, e.Name()))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			path := filepath.Join(directory, e.Name(), f.Name())
			info, err := buildinfo.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("%s is no Go program: %w", path, err)
			}
			wants := map[string]string{"GOOS": system, "GOARCH": arch, "CGO_ENABLED": "0", "-trimpath": "true"}
			if local {
				delete(wants, "-trimpath")
			}
			for setting, want := range wants {
				if got := settingOf(info, setting); got != want {
					return nil, fmt.Errorf("%s was built with %s=%q, want %q", path, setting, got, want)
				}
			}
			p.programs = append(p.programs, program{f.Name(), path, info})
		}
		if len(p.programs) == 0 {
			return nil, fmt.Errorf("no programs in %s", filepath.Join(directory, e.Name()))
		}
		platforms = append(platforms, p)
	}
	if len(platforms) == 0 {
		return nil, fmt.Errorf("no directory GOOS_GOARCH in %s", directory)
	}
	return platforms, nil
}

func settingOf(info *buildinfo.BuildInfo, key string) string {
	i := slices.IndexFunc(info.Settings, func(s buildSetting) bool { return s.Key == key })
	if i < 0 {
		return ""
	}
	return info.Settings[i].Value
}
