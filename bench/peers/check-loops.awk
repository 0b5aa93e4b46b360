# Reads `objdump -d --no-show-raw-insn`, prints the bodies of the three measured loops, and fails unless each has the number
# of instructions that the comparison computes with. A loop runs from a backward branch's target to that branch.
BEGIN {
  demanded["alu_loop"] = 5
  demanded["chase_loop"] = 3
  demanded["churn_loop"] = 6
  status = 0
}

/^[0-9a-f]+ <.*>:$/ {
  name = substr($2, 2, length($2) - 3)
  lines = 0
  next
}

name in demanded && /^ +[0-9a-f]+:\t/ {
  address = $1
  sub(":", "", address)
  at[address] = lines
  text[lines++] = $0
  if ($2 ~ /^j/ && $3 in at && at[$3] >= 0 && start_of[$3] == name) {
    if (name in found) {
      complain(name " has more than one loop")
    }
    found[name] = lines - at[$3]
    printf "%s: %d instructions an iteration\n", name, found[name]
    for (i = at[$3]; i < lines; i++) {
      print text[i]
      operands = text[i]
      sub(/^.*:\t/, "", operands)
      gsub(/\$0x[0-9a-f]+/, "", operands)
      if (name == "alu_loop" && operands !~ /^j/ && operands ~ /\(|0x/) {
        complain(name " touches memory: " text[i])
      }
    }
    print ""
  }
  start_of[address] = name
}

function complain(message) {
  print "check-loops: " message > "/dev/stderr"
  status = 1
}

END {
  for (name in demanded) {
    if (found[name] != demanded[name]) {
      complain(name " has " found[name] + 0 " instructions an iteration, expected " demanded[name])
    }
  }
  exit status
}
