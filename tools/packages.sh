# Sourced by demo.sh and test.sh: Debian packages, and only those that are missing.

# need_packages PACKAGE...: installs what is not there, as root or by sudo. Returns 1, with a reason, when it can't.
need_packages() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    echo "No dpkg here, so nothing is installed. What is needed, by Debian's names: $*"
    return 0
  fi
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Missing packages, and neither root nor sudo to install them: ${missing[*]}"
      return 1
    fi
    root=(sudo)
  fi
  echo "Installing: ${missing[*]}"
  "${root[@]}" apt-get update -qq &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
