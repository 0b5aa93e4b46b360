# Turns the samples of compare.sh into the Markdown report (stdout) and the JSON file named by `json`.
# A sample line: round, workload, peer, short and long iterations, their CPU seconds, their wall-clock seconds (tab-separated).
# Variables: rounds, peers, workloads, failed (space-separated lists); the host's description comes from the environment.
BEGIN {
  FS = "\t"
  instructions["alu"] = 5
  instructions["chase"] = 3
  instructions["churn"] = 6
  unit["alu"] = "ns/iteration"
  unit["chase"] = "ns/load"
  unit["churn"] = "ns/iteration"
  demands = 0
  # name; workload; peer whose time is divided; peer whose time divides; bound's direction; bound
  demand("ALU: instruction rate of native over Bochs", "alu", "bochs", "gnomon-native", ">=", 2.5)
  demand("chase: time of native over TCG", "chase", "gnomon-native", "qemu", "<=", 0.8)
  # Not a demand: a chase that is bound by memory leaves less room than its bound asks for.
  demand("chase: time of the host's own processor over TCG", "chase", "host", "qemu", "", 0)
  demand("churn: time of native over TCG", "churn", "gnomon-native", "qemu", "<=", 1 / 3)
  demand("ALU: time of EPT over native", "alu", "gnomon-ept", "gnomon-native", "<=", 1.5)
  demand("chase: time of EPT over native", "chase", "gnomon-ept", "gnomon-native", "<=", 1.5)
  demand("churn: time of EPT over native", "churn", "gnomon-ept", "gnomon-native", "<=", 1.5)
  demand("ALU: time of shadow over native", "alu", "gnomon-shadow", "gnomon-native", "<=", 1.5)
  demand("chase: time of shadow over native", "chase", "gnomon-shadow", "gnomon-native", "<=", 1.5)
  demand("churn: time of shadow over TCG", "churn", "gnomon-shadow", "qemu", "<=", 1)
  demand("ALU: time of counting on over off", "alu", "gnomon-count", "gnomon-native", "<=", 2)
}

function demand(name, workload, over, under, direction, bound) {
  demand_name[demands] = name
  demand_workload[demands] = workload
  demand_over[demands] = over
  demand_under[demands] = under
  demand_direction[demands] = direction
  demand_bound[demands] = bound
  demands++
}

{
  key = $2 SUBSEP $3
  time = ($7 - $6) * 1e9 / ($5 - $4)
  line[lines++] = $0
  size[key] = $4 " to " $5
  # A difference of a few ticks says nothing.
  if ($7 - $6 < 0.05) {
    printf "compare.sh: round %s %s %s: %s and %s iterations took about the same time; raise --scale or --size\n", \
      $1, $2, $3, $4, $5 > "/dev/stderr"
    next
  }
  sample[key, $1] = time
}

# Fills sorted[1..n] with values[1..n] in ascending order; returns n.
function sort_values(values, n,    i, j, v) {
  for (i = 1; i <= n; i++) {
    v = values[i]
    for (j = i - 1; j >= 1 && sorted[j] > v; j--) {
      sorted[j + 1] = sorted[j]
    }
    sorted[j + 1] = v
  }
  return n
}

# Sets median, least and greatest of values[1..n].
function summarize(values, n) {
  sort_values(values, n)
  median = n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
  least = sorted[1]
  greatest = sorted[n]
}

function gather(workload, peer,    round, n) {
  n = 0
  for (round = 1; round <= rounds; round++) {
    if ((workload, peer, round) in sample) {
      values[++n] = sample[workload, peer, round]
    }
  }
  return n
}

function number(x) {
  return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : x >= 1 ? "%.2f" : "%.3f", x)
}

function triple(a, b, c) {
  return number(a) " (" number(b) "–" number(c) ")"
}

function quote(s) {
  gsub(/\\/, "\\\\", s)
  gsub(/"/, "\\\"", s)
  gsub(/[\001-\037]/, " ", s)
  return "\"" s "\""
}

function emit(s) {
  printf "%s", s > json
}

function summary_json() {
  return sprintf("\"median\": %.6g, \"min\": %.6g, \"max\": %.6g", median, least, greatest)
}

END {
  peer_count = split(peers, peer_list, " ")
  workload_count = split(workloads, workload_list, " ")

  emit("{\n  \"host\": {\"cpu\": " quote(ENVIRON["host_cpu"]) ", \"cpus\": " ENVIRON["host_cpus"] + 0 \
    ", \"os\": " quote(ENVIRON["host_os"]) "},\n")
  emit("  \"versions\": {\"gcc\": " quote(ENVIRON["version_gcc"]) ", \"java\": " quote(ENVIRON["version_java"]) \
    ", \"qemu\": " quote(ENVIRON["version_qemu"]) ", \"bochs\": " quote(ENVIRON["version_bochs"]) "},\n")
  emit("  \"rounds\": " rounds ",\n  \"results\": [")

  print "- Host: " ENVIRON["host_cpu"] ", " ENVIRON["host_cpus"] " CPUs, " ENVIRON["host_os"] "."
  print "- Rounds: " rounds ", interleaved; CPU time of a long run minus that of a short one; median (min–max)."
  if (ENVIRON["version_java"] != "") print "- Java: " ENVIRON["version_java"] "."
  if (ENVIRON["version_qemu"] != "") print "- QEMU: " ENVIRON["version_qemu"] "."
  if (ENVIRON["version_bochs"] != "") print "- Bochs: " ENVIRON["version_bochs"] "."
  print ""
  header = "| peer |"
  rule = "|---|"
  for (w = 1; w <= workload_count; w++) {
    header = header " " workload_list[w] " " unit[workload_list[w]] " |"
    rule = rule "---|"
    if (workload_list[w] == "alu") {
      header = header " alu MIPS |"
      rule = rule "---|"
    }
  }
  print header
  print rule
  separator = "\n"
  for (p = 1; p <= peer_count; p++) {
    peer = peer_list[p]
    row = "| " peer " |"
    for (w = 1; w <= workload_count; w++) {
      workload = workload_list[w]
      n = gather(workload, peer)
      if (n == 0) {
        row = row " " (index(" " failed " ", " " peer "/" workload " ") ? "failed" : "–") " |"
        if (workload == "alu") row = row " – |"
        continue
      }
      summarize(values, n)
      row = row " " triple(median, least, greatest) " |"
      split(size[workload, peer], from_to, " to ")
      emit(separator "    {\"peer\": " quote(peer) ", \"workload\": " quote(workload) ", \"unit\": " quote(unit[workload]) \
        ", \"samples\": " n ", " summary_json() ",\n     \"mips\": " \
        sprintf("%.6g", instructions[workload] * 1000 / median) ", \"short\": " from_to[1] ", \"long\": " from_to[2] "}")
      separator = ",\n"
      if (workload == "alu") {
        row = row " " triple(5000 / median, 5000 / greatest, 5000 / least) " |"
      }
    }
    print row
  }

  emit("\n  ],\n  \"ratios\": [")
  print ""
  print "Ratios: median (min–max) of the rounds' own ratios."
  print ""
  print "| ratio | demanded | measured | verdict |"
  print "|---|---|---|---|"
  separator = "\n"
  missed = 0
  for (d = 0; d < demands; d++) {
    n = 0
    workload = demand_workload[d]
    for (round = 1; round <= rounds; round++) {
      if ((workload, demand_over[d], round) in sample && (workload, demand_under[d], round) in sample) {
        values[++n] = sample[workload, demand_over[d], round] / sample[workload, demand_under[d], round]
      }
    }
    bound = demand_direction[d] == "" ? "–" : demand_direction[d] " " number(demand_bound[d])
    emit(separator "    {\"name\": " quote(demand_name[d]) ", \"direction\": " quote(demand_direction[d]) \
      ", \"bound\": " sprintf("%.6g", demand_bound[d]) ", \"samples\": " n)
    separator = ",\n"
    if (n == 0) {
      print "| " demand_name[d] " | " bound " | – | not measured |"
      emit(", \"verdict\": \"not measured\"}")
      continue
    }
    summarize(values, n)
    pass = demand_direction[d] == ">=" ? median >= demand_bound[d] : median <= demand_bound[d]
    verdict = demand_direction[d] == "" ? "–" : pass ? "PASS" : "FAIL"
    if (verdict == "FAIL") missed = 1
    print "| " demand_name[d] " | " bound " | " triple(median, least, greatest) " | " verdict " |"
    emit(", " summary_json() ", \"verdict\": \"" verdict "\"}")
  }

  emit("\n  ],\n  \"runs\": [")
  separator = "\n"
  for (i = 0; i < lines; i++) {
    split(line[i], f, "\t")
    emit(separator "    {\"round\": " f[1] ", \"workload\": " quote(f[2]) ", \"peer\": " quote(f[3]) ", \"short\": " f[4] \
      ", \"long\": " f[5] ", \"short_cpu_s\": " f[6] ", \"long_cpu_s\": " f[7] ", \"short_wall_s\": " f[8] \
      ", \"long_wall_s\": " f[9] "}")
    separator = ",\n"
  }
  emit("\n  ],\n  \"failed\": [")
  failures = split(failed, failure, " ")
  for (i = 1; i <= failures; i++) {
    emit((i > 1 ? ", " : "") quote(failure[i]))
  }
  emit("]\n}\n")
  close(json)
  if (failed != "") {
    print "compare.sh: failed runs: " failed > "/dev/stderr"
  }
  exit (missed || failed != "") ? 5 : 0
}
