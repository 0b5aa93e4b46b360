# Turns the samples of boot.sh into Markdown (stdout) and the JSON file named by `json`.
# A sample line: round, peer, CPU seconds, wall-clock seconds, greatest resident KiB (tab-separated).
BEGIN {
  FS = "\t"
  demand("native over TCG, CPU time", "gnomon-native", "qemu", 6)
  demand("EPT over native, CPU time", "gnomon-ept", "gnomon-native", 1.3)
  demand("shadow over native, CPU time", "gnomon-shadow", "gnomon-native", 1.3)
}

function demand(name, over, under, bound) {
  demands++
  demand_name[demands] = name
  demand_over[demands] = over
  demand_under[demands] = under
  demand_bound[demands] = bound
}

{
  cpu[$2, $1] = $3
  wall[$2, $1] = $4
  rss[$2, $1] = $5 / 1024
  runs = runs (NR > 1 ? ",\n" : "\n") sprintf("    {\"round\": %d, \"peer\": \"%s\", \"cpu_s\": %s, \"wall_s\": %s, \"rss_mib\": %d}", \
    $1, $2, $3, $4, $5 / 1024)
}

# Sets median, least and greatest of values[1..n].
function summarize(n,    i, j, v) {
  for (i = 2; i <= n; i++) {
    v = values[i]
    for (j = i - 1; j >= 1 && values[j] > v; j--) {
      values[j + 1] = values[j]
    }
    values[j + 1] = v
  }
  median = n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
  least = values[1]
  greatest = values[n]
}

function triple() {
  return sprintf("%.2f (%.2f–%.2f)", median, least, greatest)
}

function column(table, peer,    r) {
  for (r = 1; r <= rounds; r++) {
    values[r] = table[peer, r]
  }
  summarize(rounds)
  return triple()
}

END {
  n = split(peers, peer, " ")
  print "| peer | CPU s | wall-clock s | resident MiB |"
  print "|---|---|---|---|"
  for (p = 1; p <= n; p++) {
    print "| " peer[p] " | " column(cpu, peer[p]) " | " column(wall, peer[p]) " | " sprintf("%.0f", resident(peer[p])) " |"
  }
  print "\nRatios: median (min–max) of the rounds' own ratios.\n"
  print "| ratio | demanded | measured | verdict |"
  print "|---|---|---|---|"
  missed = 0
  for (d = 1; d <= demands; d++) {
    if (!((demand_over[d], 1) in cpu) || !((demand_under[d], 1) in cpu)) {
      print "| " demand_name[d] " | <= " demand_bound[d] " | – | not measured |"
      continue
    }
    for (r = 1; r <= rounds; r++) {
      values[r] = cpu[demand_over[d], r] / cpu[demand_under[d], r]
    }
    summarize(rounds)
    verdict = median <= demand_bound[d] ? "PASS" : "FAIL"
    missed = missed || verdict == "FAIL"
    print "| " demand_name[d] " | <= " demand_bound[d] " | " triple() " | " verdict " |"
    ratios = ratios (ratios == "" ? "\n" : ",\n") sprintf("    {\"name\": \"%s\", \"bound\": %s, \"median\": %.4g, \"min\": %.4g, \"max\": %.4g, \"verdict\": \"%s\"}", \
      demand_name[d], demand_bound[d], median, least, greatest, verdict)
  }
  printf "{\n  \"runs\": [%s\n  ],\n  \"ratios\": [%s\n  ]\n}\n", runs, ratios > json
  close(json)
  exit missed ? 5 : 0
}

# The greatest resident size of a peer over all rounds.
function resident(name,    r, most) {
  for (r = 1; r <= rounds; r++) {
    most = rss[name, r] > most ? rss[name, r] : most
  }
  return most
}
