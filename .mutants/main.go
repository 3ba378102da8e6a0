// Mutants is a test of tests. It breaks the code in which a fact stands more than once,
// one line at a time, and runs the tests that are to notice: statements are left out,
// conditions and their parts do not count, fields of literals stay empty. It ends with 1
// when a break goes unnoticed. The tree is not touched: go reads the broken files from
// elsewhere.
//
// The breaks of a package are compiled in together, and MUTANT says which one is on.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A target is a function to break, and the tests that are to notice.
type target struct{ file, function, tests string }

var targets = []target{
	{"store/cell/measures.go", "Counts.Merge", "TestMeasures"},
	{"store/cell/measures.go", "Counts.Subtract", "TestMeasures"},
	{"store/cell/measures.go", "Sums.count", "TestOpen"},
	{"store/cell/measures.go", "Sums.Merge", "TestMeasures"},
	{"store/cell/measures.go", "Sums.Subtract", "TestMeasures"},
	{"store/cell/measures.go", "Sums.Lifetime", "TestMeasures"},
	{"store/cell/measures.go", "Sums.SetLifetime", "TestMeasures"},
	{"store/series.go", "series.digest", "TestDigest|TestEveryFigureIsCounted"},
	{"store/cell/cell.go", "Cell.Merge", "TestEveryFieldOfACell"},
	{"store/cell/cell.go", "Cell.Subtract", "TestEveryFieldOfACell|TestRescan"},
	{"store/cell/cell.go", "Cell.Reset", "TestEveryFieldOfACell|TestEveryFieldIsPacked"},
	{"store/cell/pack.go", "Cell.AppendPacked", "TestEveryFieldIsPacked"},
	{"store/cell/pack.go", "Cell.Unpack", "TestEveryFieldIsPacked|TestPlausible|TestDamaged"},
	{"store/cell/pack.go", "Cell.plausible", "TestPlausible"},
	{"store/cell/pack.go", "Cell.readRanges", "TestEveryFieldIsPacked"},
	{"store/same.go", "sameRow", "TestSameRow"},
	{"store/same.go", "sameFigures", "TestSameRow"},
	{"store/same.go", "sameState", "TestSameRow"},
	{"store/same.go", "samePrevious", "TestSameRow"},
	{"store/counters.go", "shard.retire", "TestEveryFigureIsCounted|TestCounters"},
	{"store/counters.go", "Store.Counters", "TestEveryFigureIsCounted|TestCounters"},
	{"store/cell/open.go", "Open.AddTold", "TestOpen"},
	{"store/cell/open.go", "Open.News", "TestOpen"},
	{"store/cell/figures.go", "Cell.Latencies", "TestLatencies"},
	{"store/cell/figures.go", "Cell.ErrorCategories", "TestLatencies"},
	{"httpapi/ask/parameters.go", "init", "TestParametersTell"},
	{"httpapi/exposed.go", "callCounts.add", "TestExpos|TestEveryFigureIsExposed"},
	{"httpapi/exposed.go", "callCounts.subtract", "TestExpos|TestEveryFigureIsExposed"},
	{"httpapi/answer/figures.go", "Record.figures", "TestColumnsOfFigures"},
}

// noticing are the packages whose tests notice breaks of another.
var noticing = map[string]string{"httpapi/ask": "httpapi"}

// replacements are breaks of tables: what stands in a file once becomes something else.
var replacements = []struct{ file, old, new, tests string }{
	{"store/cell/measures.go", "return &c.Errors", "return &c.ProviderErrors", "TestMeasures"},
	{"store/cell/measures.go", `"call_errors", "`, `"errors", "`, "TestEveryFigureIsExposed"},
	{"store/cell/measures.go", `"failovers", "`, `"failover", "`, "TestEveryFigureIsExposed"},
	{"store/cell/measures.go", "c.sum.low, c.sum.high\n", "c.sum.high, c.sum.low\n", "TestMeasures"},
	{"store/cell/pack.go", "c.Requests, c.Samples = c.Calls, c.Calls", "c.Requests, c.Samples = c.Calls, 1", "TestEveryFieldIsPacked"},
	{"httpapi/answer/figures.go", "value.AppendMillis(dst, f.P90)", "value.AppendMillis(dst, f.P95)", "TestColumnsOfFigures"},
	{"httpapi/answer/figures.go", "f.Ended()-f.ProviderErrors, f.Ended()", "f.Calls-f.Errors, f.Calls", "TestColumnsOfFigures"},
}

// harmless are breaks that change nothing but how long something takes, or what cannot be.
var harmless = []string{
	"Cell.Merge: o.Empty() is never so", "Cell.Merge: return is left out", // nothing is added
	"Cell.Subtract: o.Empty() is never so", "Cell.Subtract: return false is left out", // nothing is taken
	"init: p.Step > 0 is always so", "init: p.MinDuration > 0 is always so", // 0 is spelled as nothing else is
	"init: p.BeforeTS != 0 || p.BeforeSeq != 0 is always so",
	"init: p.BeforeTS != 0 does not count", "init: p.BeforeSeq != 0 does not count", // a page never begins at 0 of either
	"Cell.Latencies: c.Errors > 0 is always so", // there is nothing to say of failures
}

// A mutant is one break.
type mutant struct {
	what   string
	target target
}

// breaker breaks functions of a file.
type breaker struct {
	set     *token.FileSet
	target  target
	mutants *[]mutant
}

// next numbers a break of the code at a place.
func (b *breaker) next(at ast.Node, how string) ast.Expr {
	var text strings.Builder
	if err := printer.Fprint(&text, b.set, at); err != nil {
		log.Fatal(err)
	}
	line, _, _ := strings.Cut(text.String(), "\n")
	*b.mutants = append(*b.mutants, mutant{
		fmt.Sprintf("%s:%d %s: %s %s", b.target.file, b.set.Position(at.Pos()).Line, b.target.function, line, how), b.target,
	})
	return &ast.BasicLit{Kind: token.INT, Value: fmt.Sprint(len(*b.mutants) - 1)}
}

func call(name string, args ...ast.Expr) ast.Expr {
	return &ast.CallExpr{Fun: ast.NewIdent(name), Args: args}
}

// list breaks statements.
func (b *breaker) list(list []ast.Stmt, last bool) {
	for i, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			for j := range s.Rhs {
				b.expr(&s.Rhs[j])
			}
			if s.Tok != token.DEFINE {
				list[i] = b.unless(s)
			}
		case *ast.ExprStmt:
			b.expr(&s.X)
			list[i] = b.unless(s)
		case *ast.IncDecStmt:
			list[i] = b.unless(s)
		case *ast.ReturnStmt:
			for j := range s.Results {
				b.expr(&s.Results[j])
			}
			if !last {
				list[i] = b.unless(s)
			}
		case *ast.IfStmt:
			never := b.next(s.Cond, "is never so")
			always := b.next(s.Cond, "is always so")
			b.operands(&s.Cond)
			s.Cond = call("mutantCond", never, always, s.Cond)
			b.list(s.Body.List, false)
			if e, ok := s.Else.(*ast.BlockStmt); ok {
				b.list(e.List, false)
			}
		case *ast.ForStmt:
			b.list(s.Body.List, false)
		case *ast.RangeStmt:
			b.list(s.Body.List, false)
		case *ast.SwitchStmt:
			for _, c := range s.Body.List {
				b.list(c.(*ast.CaseClause).Body, false)
			}
		}
	}
}

// unless leaves a statement out.
func (b *breaker) unless(s ast.Stmt) ast.Stmt {
	return &ast.IfStmt{Cond: call("mutantOff", b.next(s, "is left out")), Body: &ast.BlockStmt{List: []ast.Stmt{s}}}
}

// expr breaks parts of a value.
func (b *breaker) expr(e *ast.Expr) {
	switch v := (*e).(type) {
	case *ast.BinaryExpr:
		b.operands(e)
	case *ast.ParenExpr:
		b.expr(&v.X)
	case *ast.UnaryExpr:
		b.expr(&v.X)
	case *ast.FuncLit:
		b.list(v.Body.List, true)
	case *ast.CallExpr:
		for i := range v.Args {
			b.expr(&v.Args[i])
		}
	case *ast.CompositeLit:
		for i, el := range v.Elts {
			kv, ok := el.(*ast.KeyValueExpr)
			if !ok {
				b.expr(&v.Elts[i])
				continue
			}
			b.expr(&kv.Value)
			switch kv.Value.(type) {
			case *ast.SelectorExpr, *ast.CallExpr, *ast.BinaryExpr:
				kv.Value = call("mutantZero", b.next(kv, "stays empty"), kv.Value)
			}
		}
	}
}

// operands has operands of && and || not count.
func (b *breaker) operands(e *ast.Expr) {
	if p, ok := (*e).(*ast.ParenExpr); ok {
		b.operands(&p.X)
		return
	}
	v, ok := (*e).(*ast.BinaryExpr)
	if !ok || v.Op != token.LAND && v.Op != token.LOR {
		return
	}
	for _, side := range []*ast.Expr{&v.X, &v.Y} {
		if inner, ok := (*side).(*ast.BinaryExpr); ok && inner.Op == v.Op {
			b.operands(side)
			continue
		}
		b.operands(side)
		n := b.next(*side, "does not count")
		if v.Op == token.LAND {
			*side = &ast.BinaryExpr{X: call("mutantOn", n), Op: token.LOR, Y: &ast.ParenExpr{X: *side}}
		} else {
			*side = &ast.BinaryExpr{X: call("mutantOff", n), Op: token.LAND, Y: &ast.ParenExpr{X: *side}}
		}
		*side = &ast.ParenExpr{X: *side}
	}
}

// switches is what broken code asks.
const switches = `package %s

import (
	"os"
	"strconv"
)

var mutant = func() int {
	n, err := strconv.Atoi(os.Getenv("MUTANT"))
	if err != nil {
		return -1
	}
	return n
}()

func mutantOn(n int) bool  { return mutant == n }
func mutantOff(n int) bool { return mutant != n }

func mutantCond(never, always int, is bool) bool { return mutant != never && (mutant == always || is) }

func mutantZero[T any](n int, v T) T {
	if mutant == n {
		var zero T
		return zero
	}
	return v
}
`

func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	return t.(*ast.Ident).Name + "." + f.Name.Name
}

// build compiles the tests of a package with files that stand for others.
func build(dir, pkg string, files map[string]string) (binary string, err error) {
	binary = filepath.Join(dir, filepath.Base(pkg)+".test")
	overlay, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, overlay, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", name, "-o", binary, "./"+pkg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^panic: |^fatal error: `)

// run runs tests and says which notices.
func run(binary, pkg, tests string, n int) (notices string, err error) {
	cmd := exec.Command(binary, "-test.run", "^("+tests+")", "-test.failfast", "-test.timeout", "90s")
	cmd.Dir = pkg
	cmd.Env = append(os.Environ(), fmt.Sprint("MUTANT=", n))
	out, err := cmd.CombinedOutput()
	if err == nil {
		if strings.Contains(string(out), "no tests to run") {
			return "", fmt.Errorf("there is no test %s in %s", tests, pkg)
		}
		return "", nil
	}
	m := failed.FindStringSubmatch(string(out))
	switch {
	case m == nil:
		return "", fmt.Errorf("%w: %s", err, out)
	case m[1] == "":
		return "a panic in " + tests, nil
	}
	return m[1], nil
}

func main() {
	log.SetFlags(0)
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	root, err := os.Getwd()
	if err != nil {
		log.Fatal(err)
	}
	only := regexp.MustCompile(strings.Join(os.Args[1:], "|"))
	all, missed := 0, 0
	tell := func(what, notices string) {
		if all++; notices == "" {
			missed++
			notices = "NOBODY"
		}
		fmt.Printf("%s\n\t%s\n", what, notices)
	}
	begin := time.Now()
	var packages []string
	for _, t := range targets {
		if pkg := filepath.Dir(t.file); !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	for _, pkg := range packages {
		mutants, binary, err := breakPackage(dir, root, pkg, only)
		if err != nil {
			log.Fatal(err)
		}
		pkg = cmp.Or(noticing[pkg], pkg)
		for n, m := range mutants {
			if slices.ContainsFunc(harmless, func(h string) bool { return strings.HasSuffix(m.what, " "+h) }) {
				continue
			}
			if i := n - 1; i < 0 || mutants[i].target != m.target { // the tests pass when nothing is broken
				if notices, err := run(binary, pkg, m.target.tests, -1); err != nil || notices != "" {
					log.Fatalf("without a break: %s %v", notices, err)
				}
			}
			notices, err := run(binary, pkg, m.target.tests, n)
			if err != nil {
				log.Fatal(err)
			}
			tell(m.what, notices)
		}
	}
	for _, r := range replacements {
		if !only.MatchString(r.file) {
			continue
		}
		text, err := os.ReadFile(r.file)
		if err != nil {
			log.Fatal(err)
		}
		if strings.Count(string(text), r.old) != 1 {
			log.Fatalf("%q is not once in %s", r.old, r.file)
		}
		broken := filepath.Join(dir, "broken.go")
		if err := os.WriteFile(broken, []byte(strings.Replace(string(text), r.old, r.new, 1)), 0o600); err != nil {
			log.Fatal(err)
		}
		pkg := filepath.Dir(r.file)
		if strings.Contains(r.tests, "Exposed") {
			pkg = "httpapi"
		}
		binary, err := build(dir, pkg, map[string]string{filepath.Join(root, r.file): broken})
		if err != nil {
			log.Fatal(err)
		}
		notices, err := run(binary, pkg, r.tests, -1)
		if err != nil {
			log.Fatal(err)
		}
		tell(fmt.Sprintf("%s: %q becomes %q", r.file, r.old, r.new), notices)
	}
	fmt.Printf("%d breaks, %d went unnoticed, %v\n", all, missed, time.Since(begin).Round(time.Second))
	if missed > 0 {
		os.RemoveAll(dir)
		os.Exit(1)
	}
}

// breakPackage compiles the tests of a package with all its breaks.
func breakPackage(dir, root, pkg string, only *regexp.Regexp) (mutants []mutant, binary string, err error) {
	files := make(map[string]string)
	parsed := make(map[string]*ast.File)
	set := token.NewFileSet()
	for _, t := range targets {
		if filepath.Dir(t.file) != pkg || !only.MatchString(t.file+" "+t.function) {
			continue
		}
		f := parsed[t.file]
		if f == nil {
			if f, err = parser.ParseFile(set, t.file, nil, 0); err != nil {
				return nil, "", err
			}
			parsed[t.file] = f
		}
		before := len(mutants)
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && nameOf(fn) == t.function {
				b := breaker{set, t, &mutants}
				b.list(fn.Body.List, true)
			}
		}
		if len(mutants) == before {
			return nil, "", fmt.Errorf("%s has no %s to break", t.file, t.function)
		}
	}
	if len(mutants) == 0 {
		return nil, "", nil
	}
	write := func(name string, content func(f *os.File) error) error {
		broken := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		f, err := os.Create(broken)
		if err != nil {
			return err
		}
		defer f.Close()
		files[filepath.Join(root, name)] = broken
		return content(f)
	}
	for name, file := range parsed {
		if err := write(name, func(f *os.File) error { return printer.Fprint(f, set, file) }); err != nil {
			return nil, "", err
		}
	}
	err = write(pkg+"/mutant.go", func(f *os.File) error {
		_, err := fmt.Fprintf(f, switches, filepath.Base(pkg))
		return err
	})
	if err != nil {
		return nil, "", err
	}
	binary, err = build(dir, cmp.Or(noticing[pkg], pkg), files)
	return mutants, binary, err
}
