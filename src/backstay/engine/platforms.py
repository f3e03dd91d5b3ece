"""What is left out by default on a platform that Backstay knows (engine-behaviour, platform defaults)."""

from __future__ import annotations

from collections.abc import Iterable

from backstay.profiles import SITE_DATABASE, SITE_ROOT, Filters, Settings

# The folders keep their guards (.htaccess, index.html), so that a restored site finds them in place.
_JOOMLA_EMPTIED = (
    "tmp",
    "log",
    "logs",
    "cache",
    "administrator/cache",
    "administrator/logs",
    "administrator/log",
    "installation",
    "administrator/components/com_akeeba/backup",
    "administrator/components/com_akeebabackup/backup",
    "components/libraries/cmslib/cache",
)
_WORDPRESS_EMPTIED = (
    "wp-content/cache",
    "wp-content/plugins/akeebabackupwp/app/backups",
    "wp-content/backups",
    "wp-content/upgrade",
)
_HOST_FOLDERS = (".cagefs", "awstats", "cgi-bin")
_ANYWHERE_FOLDERS = r"#(^|/)\.(git|svn)$#"
_ANYWHERE_FILES = r"#(^|/)(Thumbs\.db|\.DS_Store)$#"
_CORE_DUMPS = r"#^core\.[0-9]{1,10}$#"
_ERROR_LOGS = r"#(^|/)(php_error|php_errorlog|error_log|error\.log)$#"
_ALWAYS_DATA = ("bf_core_hashes", "bf_files", "bf_files_last", "bf_folders", "bf_folders_to_scan")
_ACTION_LOGS = ("#__action_logs",)
_SEARCH_INDEX = (
    "#__finder_terms",
    "#__finder_links_terms",
    "#__finder_logging",
    "#__finder_tokens",
    "#__finder_tokens_aggregate",
)


def with_platform_defaults(filters: Filters, platform: str, settings: Settings) -> Filters:
    """Return a profile's filters with what is left out by default on the platform of its site.

    Args:
        filters: of the profile.
        platform: what the site runs on, as ``platforms.find_site`` names it; other platforms have no defaults.
        settings: which groups of defaults are on.
    """
    if not settings.platform_filters or platform not in ("joomla", "wordpress"):
        return filters
    files = ["kickstart.php"]
    emptied = _JOOMLA_EMPTIED if platform == "joomla" else _WORDPRESS_EMPTIED
    folders = [*_HOST_FOLDERS, *(("stats",) if settings.host_statistics_filter else ())]
    patterns = [_ANYWHERE_FILES, _CORE_DUMPS, *((_ERROR_LOGS,) if settings.error_log_filter else ())]
    data = list(_ALWAYS_DATA)
    if platform == "joomla":
        data += ["#__session", "#__guardxt_runs"]
        data += _ACTION_LOGS if settings.action_log_filter else ()
        data += _SEARCH_INDEX if settings.search_index_filter else ()
    else:
        files.append("restoration.php")
    filters = _with(filters, "files", SITE_ROOT, files)
    filters = _with(filters, "directories", SITE_ROOT, folders)
    filters = _with(filters, "regexdirectories", SITE_ROOT, [_ANYWHERE_FOLDERS])
    filters = _with(filters, "regexfiles", SITE_ROOT, patterns)
    for name in ("skipdirs", "skipfiles"):
        filters = _with(filters, name, SITE_ROOT, emptied)
    return _with(filters, "tabledata", SITE_DATABASE, data)


def _with(filters: Filters, name: str, root: str, nodes: Iterable[str]) -> Filters:
    for node in nodes:
        filters = filters.with_node(name, root, node)
    return filters
